"""A blob between its source and its upload: hashed once, kept for a short way back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final

from mirror.registry.blob_source import OpenBlob
from mirror.registry.registry import Repository
from mirror.registry.spec import BudgetExceeded, Descriptor, RegistryError, parse_digest

_KEPT: Final = 2 << 20  # bytes kept to be sent once more after a broken connection

Progress = Callable[[int], None]
Throttle = Callable[[int], Awaitable[None]]


class BlobStream:
    """A blob's bytes from the source, which can go back to where a broken upload resumes.

    Every byte is hashed when it first passes. `failed` is the source's error, so that a failure
    of the source is not taken for one of the target.
    """

    def __init__(
        self,
        source: Repository,
        descriptor: Descriptor,
        progress: Progress | None,
        throttle: Throttle | None = None,
    ) -> None:
        self._source = source
        self._blob: OpenBlob = source.open_blob(descriptor)
        self._descriptor = descriptor
        self._progress = progress
        self._throttle = throttle
        self._digest = parse_digest(descriptor.digest)
        self._hasher = self._digest.hasher()
        self._hashed = 0
        self._reported = 0
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._read_to = 0  # of the source
        self._ahead: deque[bytes] = deque()  # given out before the source is read again
        self._behind: deque[bytes] = deque()  # given out already; ends at `position`
        self._kept = 0
        self._generation = 0
        self._deadline = source.registry.clock.monotonic() + (
            source.registry.budget.limits.layer_seconds(descriptor.size)
        )
        self._reading = asyncio.Lock()
        self.position = 0
        self.failed: RegistryError | None = None

    async def prefetch(self) -> None:
        """Have the first bytes ready. Errors surface where they are taken."""
        async with self._reading:
            if self._read_to == 0 and not self._ahead:
                with suppress(RegistryError):  # kept in `failed`
                    await self._read()

    async def take(self, length: int) -> AsyncIterator[bytes]:
        """The next `length` bytes, in pieces of any size.

        It ends early once `go_to` was called: the body of a failed request may still be read for
        a while, and must not take bytes away from the next one.
        """
        left, generation = length, self._generation
        while left:
            async with self._reading:
                if generation == self._generation and not self._ahead:
                    await self._read()
                if generation != self._generation:
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
        self._generation += 1
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
        """Raise DigestMismatch unless every byte has passed and matches the digest."""
        if self._hashed != self._descriptor.size:
            raise self._source.mismatch(self._descriptor, f"{self._hashed} bytes were read")
        if self._hasher.hexdigest() != self._digest.encoded:
            self._blob.discard()
            what = "its bytes have another digest"
            raise self._source.mismatch(self._descriptor, what, transient=True)

    async def aclose(self) -> None:
        """Close the source's connection."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            await pieces.aclose()

    async def _read(self) -> None:
        """One more piece of the source, to `_ahead`."""
        if self.failed is not None:
            raise self.failed
        try:
            self._check_time()
        except RegistryError as error:
            self.failed = error
            raise
        if self._pieces is None:
            start, end = self._read_to, self._descriptor.size
            self._pieces = self._blob.read(start, end)
        monotonic = self._source.registry.clock.monotonic
        try:
            piece = await anext(self._pieces, b"")
            if not piece:
                raise self._source.mismatch(self._descriptor, f"it ended after {self._read_to}")
            if self._throttle is not None:
                began = monotonic()
                await self._throttle(len(piece))
                self._deadline += monotonic() - began  # our own doing
        except BaseException as error:
            # The piece in hand is lost: the next read starts again where this one did.
            await self.aclose()
            if isinstance(error, RegistryError):
                self.failed = error
            raise
        if self._read_to + len(piece) > self._hashed:
            self._hasher.update(memoryview(piece)[max(0, self._hashed - self._read_to) :])
            self._hashed = self._read_to + len(piece)
        self._read_to += len(piece)
        if self._read_to == self._descriptor.size:
            # Without its last piece a corrupt blob cannot be complete anywhere.
            try:
                self.check()
            except RegistryError as error:
                self.failed = error
                raise
        self._ahead.append(piece)

    def _check_time(self) -> None:
        """Raise BudgetExceeded where the layer, or the whole run, has taken too long."""
        registry, size = self._source.registry, self._descriptor.size
        context = self._source.context("copying the blob", self._descriptor.digest)
        registry.budget.going_on(context)
        if registry.clock.monotonic() > self._deadline:
            limits = registry.budget.limits
            raise context.error(
                BudgetExceeded,
                f"{self._read_to:,} of {size:,} bytes in {limits.layer_seconds(size):,.0f} s, the"
                " budget of a layer of this size: not read to its end (limits.layer_time in"
                " mirrors.yaml raises it)",
            )

    def _given(self, piece: bytes) -> None:
        self.position += len(piece)
        self._behind.append(piece)
        self._kept += len(piece)
        while self._kept > _KEPT and len(self._behind) > 1:
            self._kept -= len(self._behind.popleft())
        if self._progress is not None and self.position > self._reported:
            self._progress(self.position - self._reported)
            self._reported = self.position
