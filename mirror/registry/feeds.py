"""The bytes of a blob on their way from source to target: hashed once, in order, a few kept."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mirror.registry.blob_download import BlobSource, mismatch
from mirror.registry.descriptor import Descriptor
from mirror.registry.digest import parse_digest
from mirror.registry.errors import RegistryError
from mirror.registry.ranges import read_fast

if TYPE_CHECKING:
    from mirror.registry.repository import Repository

Pace = Callable[[int], Awaitable[None]]
_KEPT: Final = 2 << 20  # bytes kept to be sent once more after a broken connection


class Feed:
    """A blob's bytes from the source, which can go back to where a broken upload resumes.

    Every byte is hashed the first time that it passes. `failed` is the source's error, so that a
    failure of the source is not taken for one of the target.
    """

    def __init__(
        self,
        source: Repository,
        descriptor: Descriptor,
        progress: Callable[[int], None] | None,
        pace: Pace | None = None,
    ) -> None:
        self._source = source
        self._descriptor = descriptor
        self._progress = progress
        self._pace = pace
        self._digest = parse_digest(descriptor.digest)
        self._hasher = self._digest.hasher()
        self._hashed = 0
        self._reported = 0
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._read_to = 0  # of the source
        self._ahead: deque[bytes] = deque()  # to be given before the source is read again
        self._behind: deque[bytes] = deque()  # given already; ends at `position`
        self._kept = 0
        self._turn = 0
        self._reading = asyncio.Lock()
        self.position = 0
        self.failed: RegistryError | None = None

    async def begin(self) -> None:
        """Have the first bytes ready. What goes wrong is raised where they are taken."""
        async with self._reading:
            if self._read_to == 0 and not self._ahead:
                with suppress(RegistryError):  # kept in `failed`
                    await self._read()

    async def take(self, length: int) -> AsyncIterator[bytes]:
        """The next `length` bytes, in pieces of any size.

        It ends early once `go_to` was called: the body of a request that has failed may still be
        read for a while, and must not take bytes away from the next one.
        """
        left, turn = length, self._turn
        while left:
            async with self._reading:
                if turn == self._turn and not self._ahead:
                    await self._read()
                if turn != self._turn:
                    return
                piece = self._ahead.popleft()
                if len(piece) > left:
                    self._ahead.appendleft(piece[left:])
                    piece = piece[:left]
                left -= len(piece)
                self._given(piece)
            yield piece

    async def go_to(self, offset: int) -> None:
        """Continue at `offset`: from what was kept, else by reading the source again."""
        self._turn += 1
        async with self._reading:
            await self._rewind(offset)
        if self.position < offset <= self._read_to:
            async for _ in self.take(offset - self.position):
                continue

    async def _rewind(self, offset: int) -> None:
        while self.position > offset and self._behind:
            piece = self._behind.pop()
            self._kept -= len(piece)
            self._ahead.appendleft(piece)
            self.position -= len(piece)
        if not self.position <= offset <= self._read_to:
            await self.aclose()
            self._ahead.clear()
            self._behind.clear()
            self._kept = 0
            self.position = self._read_to = offset
            if offset == 0:
                self._hasher = self._digest.hasher()
                self._hashed = 0

    def check(self) -> None:
        """Raise DigestMismatch unless every byte has passed and is what the digest says."""
        if self._hashed != self._descriptor.size:
            raise mismatch(self._source, self._descriptor, f"{self._hashed} bytes were read")
        if self._hasher.hexdigest() != self._digest.encoded:
            raise mismatch(self._source, self._descriptor, "its bytes have another digest")

    async def aclose(self) -> None:
        """Close the source's connection."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            await pieces.aclose()

    async def _read(self) -> None:
        """One more piece of the source, to `_ahead`."""
        if self.failed is not None:
            raise self.failed
        if self._pieces is None:
            start, end = self._read_to, self._descriptor.size
            self._pieces = read_fast(BlobSource(self._source, self._descriptor), start, end)
        try:
            piece = await anext(self._pieces, b"")
            if not piece:
                raise mismatch(self._source, self._descriptor, f"it ended after {self._read_to}")
            if self._pace is not None:
                await self._pace(len(piece))
        except BaseException as error:
            # Whatever was in hand is lost: the next read begins again where this one did.
            await self.aclose()
            if isinstance(error, RegistryError):
                self.failed = error
            raise
        if self._read_to + len(piece) > self._hashed:
            self._hasher.update(memoryview(piece)[max(0, self._hashed - self._read_to) :])
            self._hashed = self._read_to + len(piece)
        self._read_to += len(piece)
        if self._read_to == self._descriptor.size:
            # Without its last piece a wrong blob cannot be complete anywhere.
            try:
                self.check()
            except RegistryError as error:
                self.failed = error
                raise
        self._ahead.append(piece)

    def _given(self, piece: bytes) -> None:
        self.position += len(piece)
        self._behind.append(piece)
        self._kept += len(piece)
        while self._kept > _KEPT and len(self._behind) > 1:
            self._kept -= len(self._behind.popleft())
        if self._progress is not None and self.position > self._reported:
            self._progress(self.position - self._reported)
            self._reported = self.position
