"""Placing blobs in a target repository by the cheapest way that it allows.

The ladder: the record knows it is there; the target says so; another repository of the target has
it (mount); stream it from the source. A blob goes through it once a run however many tags share
it, and is uploaded once to a registry however many mirrors of this process want it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum

from mirror.concurrency import SingleFlight, WeightedSemaphore
from mirror.outcome import BlobTally, Dropped, PlacedBlob
from mirror.registry import (
    READ_WHOLE,
    Descriptor,
    DigestMismatch,
    QuotaExhausted,
    RegistryError,
    Repository,
    Throttled,
    copy_blob,
)
from mirror.sync.copying.bandwidth import BandwidthLimiter

# Layers share the link whatever their number, while small blobs are bound by round trips: each
# kind has its own limit, so that a huge layer never makes a small tag wait.
LARGE = 4 * 1024 * 1024
_LARGE_AT_ONCE = 6
_SMALL_ROOM = 96 << 20  # bytes
_SMALL_MOST = 1 << 20  # bytes: larger ones are streamed, and hold no more than that
_SMALL_LEAST = 256 << 10  # bytes that a blob counts at least: 384 at once

Holders = Callable[[Sequence[str]], Awaitable[Mapping[str, str]]]
Progress = Callable[[int], None]
SharedUploads = SingleFlight[tuple[str, str], str]
"""Uploads of blobs in progress, by registry and digest: the repository each goes to."""


class Placement(Enum):
    """How a blob reached the target."""

    COPIED = "copied"
    MOUNTED = "mounted"
    REUSED = "reused"


@dataclass
class CopyStats:
    """What the copy of one tag did so far; kept through a failure, so that nothing is lost."""

    tally: dict[Placement, int] = field(default_factory=lambda: dict.fromkeys(Placement, 0))
    bytes_copied: int = 0
    placed: list[PlacedBlob] = field(default_factory=list)
    dropped: dict[str, Dropped] = field(default_factory=dict)
    referrers: int = 0

    def add(self, other: CopyStats) -> None:
        """Take over what a part of the work did."""
        for placement, count in other.tally.items():
            self.tally[placement] += count
        self.bytes_copied += other.bytes_copied
        self.placed += other.placed
        self.dropped.update(other.dropped)
        self.referrers += other.referrers

    @property
    def blobs(self) -> BlobTally:
        """How the blobs reached the target."""
        return BlobTally(
            copied=self.tally[Placement.COPIED],
            mounted=self.tally[Placement.MOUNTED],
            reused=self.tally[Placement.REUSED],
        )


class BlobPlacer:
    """Places blobs of one source repository into one target repository, for one run."""

    def __init__(
        self,
        source: Repository,
        target: Repository,
        *,
        holdings: Collection[str] = (),
        holders: Holders | None = None,
        shared: SharedUploads | None = None,
        look_first: bool = True,
        look_for_small: bool = True,
        expect: Progress = lambda _: None,
        progress: Progress = lambda _: None,
        limiter: BandwidthLimiter | None = None,
    ) -> None:
        """`holdings`: digests that the record has at the target repository.

        `holders` names, for digests, a repository of the target registry that has each: the target
        itself where it does.
        `look_first`: ask the target before uploading; useless where it is known to be empty.
        `look_for_small`: ask it about small blobs too, which takes as long as to send them.
        `expect` receives the size of each blob that has to be streamed, `progress` the number of
        bytes as they reach the target.
        """
        self._source = source
        self._target = target
        self._holdings: dict[str, int | None] = dict.fromkeys(holdings)  # sizes where known
        self._holders = holders
        self._shared = shared or SharedUploads()
        self._look_first = look_first
        self._look_for_small = look_for_small
        self._expect = expect
        self._progress = progress
        self._limiter = limiter
        self._elsewhere: dict[str, str] = {}
        self._flight: SingleFlight[str, Placement] = SingleFlight()
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._small = WeightedSemaphore(_SMALL_ROOM)
        self._suspect: set[str] = set()
        self._distrusted = False
        self.lost: set[str] = set()
        """Digests that the record had at the target and the target did not."""
        self.confirmed: set[str] = set()
        """Digests that this run uploaded, mounted or read at the target."""
        self.sure: set[str] = set()
        """Digests that this run uploaded or read at the target: a HEAD is enough to verify them."""
        self.garbled: list[str] = []
        """What was wrong with blobs that arrived garbled and were fetched again."""

    async def prepare(self, blobs: Sequence[Descriptor]) -> None:
        """Learn in one query which repositories hold the blobs that are not known to be here."""
        if self._holders is None:
            return
        wanted = [blob.digest for blob in blobs if blob.digest not in self._holdings]
        if wanted:
            found = await self._holders(wanted)
            here = {digest for digest, holder in found.items() if holder == self._target.name}
            self._elsewhere.update((one, found[one]) for one in found.keys() - here)
            if self._distrusted:
                self._suspect |= here
            else:
                self._holdings.update(dict.fromkeys(here - self._holdings.keys()))

    async def place(self, blob: Descriptor) -> Placement:
        """Make sure that the target repository holds the blob.

        Raises RegistryError.
        """
        if blob.digest in self._holdings:
            self._check_size(blob)
            return Placement.REUSED
        placement, mine = await self._flight.do(blob.digest, lambda: self._place(blob))
        self._check_size(blob)
        return placement if mine else Placement.REUSED

    def _check_size(self, blob: Descriptor) -> None:
        size = self._holdings.get(blob.digest)
        if size is not None and size != blob.size:
            raise DigestMismatch(
                f"{self._source}@{blob.digest} has {size} bytes"
                f" where a manifest says {blob.size}: the image is broken at the source"
            )

    def distrust(self) -> None:
        """Ask the target about every blob from now on: the record proved wrong."""
        self._distrusted = True
        self._suspect |= self._holdings.keys()
        for digest in self._holdings:
            self._flight.forget(digest)
        self._holdings.clear()
        self._look_first = True

    async def _place(self, blob: Descriptor) -> Placement:
        async with self._room_for(blob):
            placement = Placement.REUSED
            if not self._asks_about(blob) or not await self._holds(blob):
                if blob.digest in self._suspect:
                    self.lost.add(blob.digest)
                placement = await self._mount_or_upload(blob)
        self._holdings[blob.digest] = blob.size
        self.confirmed.add(blob.digest)
        if placement is not Placement.MOUNTED:
            self.sure.add(blob.digest)
        return placement

    def _asks_about(self, blob: Descriptor) -> bool:
        """Whether to ask the target before the blob is uploaded."""
        small = blob.size <= READ_WHOLE and not self._look_for_small and not self._distrusted
        return self._look_first and not small

    def _room_for(self, blob: Descriptor) -> AbstractAsyncContextManager[None]:
        if blob.size >= LARGE:
            return self._large
        return self._small.hold(min(max(blob.size, _SMALL_LEAST), _SMALL_MOST))

    async def _holds(self, blob: Descriptor) -> bool:
        """Whether the blob can be read at the target; where that fails, it is uploaded.

        HEAD is not believed: a store that was damaged answers 200 to it for a blob that it has
        lost, or 500 until the blob is uploaded once more.
        """
        try:
            return await self._target.touch_blob(blob) == blob.size
        except (Throttled, QuotaExhausted):
            raise
        except RegistryError:
            return False

    async def _mount_or_upload(self, blob: Descriptor) -> Placement:
        holder = self._elsewhere.get(blob.digest)
        if holder and await self._target.mount_blob(blob.digest, holder):
            return Placement.MOUNTED
        key = (self._target.registry.host, blob.digest)
        holder, mine = await self._shared.do(key, lambda: self._upload(blob))
        if mine:
            return Placement.COPIED
        if holder != self._target.name and await self._target.mount_blob(blob.digest, holder):
            return Placement.MOUNTED
        await self._upload(blob)
        return Placement.COPIED

    async def _upload(self, blob: Descriptor) -> str:
        self._expect(blob.size)
        await copy_blob(
            self._source,
            self._target,
            blob,
            progress=self._progress,
            throttle=self._limiter,
            garbled=self.garbled.append,
        )
        return self._target.name
