"""Reading blobs: streamed, resumed by Range where a connection broke, checked on the way.

distribution-spec v1.1, "Pulling blobs"; RFC 9110, 14.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from mirror.registry import headers
from mirror.registry.descriptor import Descriptor
from mirror.registry.digest import parse_digest
from mirror.registry.errors import ConnectionFailed, DigestMismatch, ProtocolError, RegistryError
from mirror.registry.http import Ask
from mirror.registry.sending import address_of
from mirror.registry.transport import FRESH

if TYPE_CHECKING:
    from mirror.registry.repository import Repository

_PROGRESS: Final = 256 << 10  # a try that brought this much does not count against the policy
Pieces = AsyncGenerator[bytes, None]


@dataclass(slots=True)
class BlobSource:
    """A blob at a registry. `place` is where a redirect led to, to save the detour next time."""

    repository: Repository
    descriptor: Descriptor
    place: str | None = None

    def mismatch(self, what: str) -> DigestMismatch:
        """The error of a blob that is not what its descriptor says."""
        return mismatch(self.repository, self.descriptor, what)

    async def read(self, start: int, end: int) -> Pieces:
        """The bytes [start, end), over one connection at a time, resumed where it breaks.

        Tried as often as the policy and progress allow. Raises BlobUnknown, and DigestMismatch
        when the blob ends before `end` or is longer than the descriptor says.
        """
        registry = self.repository.registry
        position, made = start, 0
        while position < end:
            begun = position
            piece_end = min(end, position + (registry.line.piece or end))
            try:
                async with aclosing(self._once(position, piece_end)) as pieces:
                    async for piece in pieces:
                        position += len(piece)
                        registry.intake.bytes += len(piece)
                        yield piece
                if position < piece_end:
                    raise self._short(position)
            except RegistryError as error:
                if isinstance(error, ConnectionFailed):
                    registry.line.broke(position - begun)
                made = 1 if position - begun >= _PROGRESS else made + 1
                wait = registry.wait_after(error, made)
                if wait is None:
                    raise
                await registry.clock.sleep(wait)

    async def _once(self, start: int, end: int) -> Pieces:
        """One connection's worth of [start, end)."""
        registry, size = self.repository.registry, self.descriptor.size
        detour = self.place
        ask = Ask(
            "GET",
            detour or f"{self.repository.base}/blobs/{self.descriptor.digest}",
            self.repository.where("reading the blob", self.descriptor.digest),
            self.repository.pull,
            {} if (start, end) == (0, size) else {"Range": f"bytes={start}-{end - 1}"},
            extensions={FRESH: True} if registry.line.piece else {},
        )
        try:
            async with registry.open(ask, (200, 206)) as response:
                if not registry.authorizes(address_of(response)):
                    self.place = address_of(response)
                skip, left = self._skipped(response, start, end), end - start
                async for piece in response.aiter_raw():
                    if skip:
                        dropped = min(skip, len(piece))
                        skip -= dropped
                        piece = piece[dropped:]
                    if len(piece) > left:
                        if end == size:
                            raise self.mismatch("it is longer than that")
                        yield piece[:left]
                        return
                    if piece:
                        left -= len(piece)
                        yield piece
        except RegistryError as error:
            if detour is not None and self.place == detour:
                self.place = None
                error.transient = True  # a signed address ends; the registry gives a new one
            raise

    def _skipped(self, response: httpx.Response, start: int, end: int) -> int:
        """Bytes to pass over before the wanted ones begin.

        A registry that ignores Range answers 200 and begins at zero.
        """
        size, registry = self.descriptor.size, self.repository.registry
        if response.headers.get("accept-ranges", "").strip().lower() == "bytes":
            registry.abilities.ranges = True
        if response.status_code == 200:
            stated = headers.length(response.headers.get("content-length"))
            if stated is not None and stated != size:
                raise self.mismatch(f"the registry sends {stated} bytes")
            if (start, end) != (0, size):
                registry.abilities.ranges = False
            return start
        found = headers.content_range(response.headers.get("content-range"))
        if found is None or found.start != start:
            raise ProtocolError(
                f"{registry.host}/{self.repository.name}: the registry was asked for the bytes"
                f" {start}-{end - 1} of blob {self.descriptor.digest} and sends others",
                registry=registry.host,
                repository=self.repository.name,
                reference=self.descriptor.digest,
                transient=True,
            )
        if found.total is not None and found.total != size:
            raise self.mismatch(f"the registry holds {found.total} bytes")
        registry.abilities.ranges = True
        return 0

    def _short(self, position: int) -> DigestMismatch:
        error = self.mismatch(f"it ended after {position}")
        error.transient = True
        return error


class Pace:
    """How fast a stream comes, and how much of its time its reader spends waiting for it."""

    def __init__(self) -> None:
        self._asked = time.monotonic()
        self._came = False
        self._since: float | None = None  # the reader's return for the second piece
        self._waited = 0.0
        self.bytes = 0

    def asks(self) -> None:
        """The reader wants the next piece."""
        self._asked = time.monotonic()
        if self._came and self._since is None:
            self._since = self._asked

    def comes(self, size: int) -> None:
        """A piece came."""
        if self._since is not None:
            self._waited += time.monotonic() - self._asked
            self.bytes += size
        self._came = True

    @property
    def seconds(self) -> float:
        """Since the reader took the first piece: it may come long before it is wanted."""
        return time.monotonic() - self._since if self._since is not None else 0.0

    @property
    def rate(self) -> float:
        """Bytes a second since then."""
        return self.bytes / self.seconds if self.seconds else 0.0

    @property
    def hungry(self) -> float:
        """Share of that time that the reader waited: near 1 the source is what holds us up."""
        return self._waited / self.seconds if self.seconds else 0.0


async def read_blob(repository: Repository, descriptor: Descriptor, start: int = 0) -> Pieces:
    """A blob from `start` to its end; read from 0 its digest is checked."""
    digest = parse_digest(descriptor.digest)
    hasher = digest.hasher()
    source = BlobSource(repository, descriptor)
    async with (
        repository.registry.downloads.slot(),
        aclosing(source.read(start, descriptor.size)) as pieces,
    ):
        async for piece in pieces:
            hasher.update(piece)
            yield piece
    if start == 0 and hasher.hexdigest() != digest.encoded:
        raise mismatch(repository, descriptor, "its bytes have another digest")


def mismatch(repository: Repository, descriptor: Descriptor, what: str) -> DigestMismatch:
    """The error of a blob that is not what its descriptor says."""
    return DigestMismatch(
        f"{repository.registry.host}/{repository.name}: blob {descriptor.digest} of"
        f" {descriptor.size} bytes: {what}",
        registry=repository.registry.host,
        repository=repository.name,
        reference=descriptor.digest,
    )
