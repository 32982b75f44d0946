"""What the syncs of one process do for each other: a blob is uploaded to a registry once, and what
mirrors of one source read from it is read once.

Manifests and small blobs are kept in memory for a while, larger blobs in files without a name
(blob_spool.py): bounded in number and bytes, and gone with the process. Nothing is taken from here
without its digest having been checked by the sync that uses it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from mirror.concurrency import SingleFlight
from mirror.registry import (
    Descriptor,
    Manifest,
    OpenBlob,
    Registry,
    RegistryError,
    Repository,
    SharedTurns,
)
from mirror.sync.copying.blob_placement import SharedUploads
from mirror.sync.copying.blob_spool import BlobSpool

T = TypeVar("T")
_IN_MEMORY: Final = 16 << 20  # bytes of manifests, and as many of small blobs
_ON_DISK: Final = 4 << 30  # bytes of larger blobs
_OF_FREE: Final = 4  # they take at most this part of the free space: the history is there too
_FILES: Final = 128
_LINGER: Final = 60.0  # seconds after the last sync of a source: another may be about to start
Spools = OrderedDict[tuple[str, str, int], BlobSpool]
"""By source, digest and size; the last used one last."""


class SharedTransfers:
    """Uploads and reads that the syncs of this process share; a context manager."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where blobs may be kept; created when it is needed."""
        self.uploads = SharedUploads()
        self.turns = SharedTurns()
        """At each registry, for all syncs together."""
        self.trouble: str | None = None
        """Why no blob can be kept in the folder."""
        self._folder = folder
        self._manifests: _Recent[Manifest] = _Recent(lambda manifest: len(manifest.raw))
        self._small: _Recent[bytes] = _Recent(len)
        self._spools: Spools = OrderedDict()
        self._syncs: Counter[str] = Counter()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for spool in self._spools.values():
            spool.drop()
        self._spools.clear()

    @contextmanager
    def source(self, registry: Registry, name: str) -> Iterator[Repository]:
        """A repository of a registry whose reads are shared, for one sync."""
        source = SharedSource(registry, name, self)
        place = str(source)
        self._syncs[place] += 1
        if timer := self._timers.pop(place, None):
            timer.cancel()
        try:
            yield source
        finally:
            self._syncs[place] -= 1
            if not self._syncs[place]:
                del self._syncs[place]
                later = asyncio.get_running_loop().call_later
                self._timers[place] = later(_LINGER, self._forget, place)
            if not self._syncs:
                self.uploads.clear()

    async def manifest(
        self, place: str, digest: str, read: Callable[[], Awaitable[Manifest]]
    ) -> tuple[Manifest, bool]:
        """A manifest of a source, read once, and True for who read it. Raises as `read` does."""
        return await self._manifests.get(f"{place}@{digest}", read)

    async def small_blob(
        self, place: str, digest: str, read: Callable[[], Awaitable[bytes]]
    ) -> bytes:
        """A small blob of a source, read once. Raises what `read` raises."""
        return (await self._small.get(f"{place}@{digest}", read))[0]

    def spool(self, place: str, descriptor: Descriptor) -> BlobSpool | None:
        """Where a larger blob of a source is kept; None without room for it."""
        key = (place, descriptor.digest, descriptor.size)
        if (spool := self._spools.get(key)) is not None:
            if spool.failed is None:
                self._spools.move_to_end(key)
                return spool
            self._note(spool.failed)
            self.drop(spool)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not self._make_room(descriptor.size):
                return None
            spool = self._spools[key] = BlobSpool(self._folder, descriptor.size)
        except OSError as error:
            self._note(error)
            return None
        return spool

    def drop(self, spool: BlobSpool) -> None:
        """Forget what was kept of a blob: its bytes are wrong."""
        for key, kept in list(self._spools.items()):
            if kept is spool:
                self._spools.pop(key).drop()

    def _note(self, error: OSError) -> None:
        self.trouble = f"{self._folder}: {error.strerror or error}"

    def _make_room(self, size: int) -> bool:
        """Drop what was not used for longest; False if what is in use leaves no room."""
        free = shutil.disk_usage(self._folder).free + sum(key[2] for key in self._spools)
        limit = min(_ON_DISK, free // _OF_FREE) - size
        for key in [key for key, spool in self._spools.items() if spool.idle]:
            if self._fits(limit):
                break
            self._spools.pop(key).drop()
        return self._fits(limit)

    def _fits(self, limit: int) -> bool:
        return sum(key[2] for key in self._spools) <= limit and len(self._spools) < _FILES

    def _forget(self, place: str) -> None:
        self._timers.pop(place, None)
        for key in [key for key in self._spools if key[0] == place]:
            self._spools.pop(key).drop()
        if not self._syncs:
            self._manifests.clear()
            self._small.clear()


class SharedSource(Repository):
    """The source of a mirror, read once for all syncs of this process that want the same."""

    def __init__(self, registry: Registry, name: str, shared: SharedTransfers) -> None:
        super().__init__(registry, name)
        self._shared = shared

    async def get_manifest(self, reference: str) -> Manifest:
        """A manifest by tag or digest; by digest it is read once. Raises RegistryError."""
        read = super().get_manifest
        if ":" not in reference:
            return await read(reference)
        found, mine = await self._shared.manifest(str(self), reference, lambda: read(reference))
        if not mine and self.registry.counts:  # each run has a budget
            context = self.context("reading the manifest", reference)
            self.registry.budget.descriptors(found.named, context)
        return found

    async def small_blob(self, descriptor: Descriptor) -> bytes:
        """A blob of 1 MiB at most, read once. Raises RegistryError."""
        read = super().small_blob
        if descriptor.data is not None or not descriptor.size:
            return await read(descriptor)
        key = f"{descriptor.digest}/{descriptor.size}"
        return await self._shared.small_blob(str(self), key, lambda: read(descriptor))

    def open_blob(self, descriptor: Descriptor) -> OpenBlob:
        """A large blob, read once as far as there is room to keep it."""
        place, own = str(self), super().open_blob(descriptor)
        return _SharedBlob(self._shared, lambda: self._shared.spool(place, descriptor), own)


@dataclass
class _SharedBlob:
    """A blob that is read by way of a spool, or by itself where there is none."""

    shared: SharedTransfers
    find: Callable[[], BlobSpool | None]
    own: OpenBlob
    spool: BlobSpool | None = None

    def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        self.spool = self.find()
        if self.spool is None:
            return self.own.read(start, end)
        return self.spool.read(self.own, start, end)

    def discard(self) -> None:
        if self.spool is not None:
            self.shared.drop(self.spool)


@dataclass
class _Recent(Generic[T]):
    """Values that were read last, each read once; where that fails, the others read it themselves.

    Each has its own client, credentials and budget.
    """

    size: Callable[[T], int]
    _flights: SingleFlight[str, T] = field(default_factory=SingleFlight)
    _sizes: OrderedDict[str, int] = field(default_factory=OrderedDict)
    _total: int = 0

    async def get(self, key: str, read: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The value of a key, and True for who read it."""
        mine = False

        async def work() -> T:
            nonlocal mine
            mine = True
            return await read()

        try:
            value, _ = await self._flights.do(key, work)
        except RegistryError:
            if mine:
                raise
            return await read(), True
        self._total += self.size(value) - self._sizes.pop(key, 0)
        self._sizes[key] = self.size(value)
        while self._total > _IN_MEMORY:
            oldest, size = self._sizes.popitem(last=False)
            self._total -= size
            self._flights.forget(oldest)
        return value, mine

    def clear(self) -> None:
        self._flights.clear()
        self._sizes.clear()
        self._total = 0
