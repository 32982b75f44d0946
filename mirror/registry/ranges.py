"""Large blobs by several connections at once, given in order out of a bounded window.

One connection is enough for most lines. Where it is not, since the source gives each connection
only so much, ranges ahead of the reader are fetched over further ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from mirror.registry.blob_download import BlobSource, Pace, Pieces
from mirror.registry.errors import RegistryError
from mirror.registry.throughput import Span, Trial

_WORTH: Final = 4 << 20  # bytes left, under which more connections do not pay
_LOOK: Final = 0.12  # seconds of streaming before its pace says something
_HUNGRY: Final = 0.8  # share of the time that the reader must have waited
_SLOW: Final = 2.0  # seconds that the rest would take at least: finding out takes nearly one
_LEAST_RANGE: Final = 256 << 10
_MOST_RANGE: Final = 640 << 10
_CONNECTIONS: Final = 24


async def read_fast(source: BlobSource, start: int, end: int) -> Pieces:
    """The bytes [start, end): by one connection, and by more once that proves too slow."""
    position, pace, intake = start, Pace(), source.repository.registry.intake
    before: Span | None = None
    async with aclosing(source.read(start, end)) as pieces:
        pace.asks()
        async for piece in pieces:
            pace.comes(len(piece))
            position += len(piece)
            yield piece
            before = before or intake.since_now()
            if _too_slow(source, pace, end - position):
                break
            pace.asks()
    if position < end:
        size = int(min(max(pace.rate / 4, _LEAST_RANGE), _MOST_RANGE))
        ranges = _Ranges(source, position, end, size, Trial(intake, before.rate if before else 0.0))
        async with aclosing(ranges.read()) as pieces:
            async for piece in pieces:
                position += len(piece)
                yield piece
    if position < end:  # more connections brought nothing more
        async with aclosing(source.read(position, end)) as pieces:
            async for piece in pieces:
                yield piece


def _too_slow(source: BlobSource, pace: Pace, left: int) -> bool:
    registry = source.repository.registry
    return (
        left >= _WORTH
        and pace.seconds >= _LOOK
        and pace.hungry >= _HUNGRY
        and left > pace.rate * _SLOW
        and registry.abilities.ranges is not False
        and registry.line.piece is None
        and registry.intake.more_may_pay
        and registry.downloads.free > 0
    )


class _Range:
    """A part of the blob on its way."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.here: deque[bytes] = deque()
        self.complete = False
        self.failed: RegistryError | None = None
        self.changed = asyncio.Event()
        self.worker: asyncio.Task[None] | None = None


class _Ranges:
    """Workers that fetch ranges, and the reader that gives them in order.

    The first worker runs on the transfer slot that its caller has, so that there is progress
    whatever happens; the others come and go with the free slots of the registry.
    """

    def __init__(self, source: BlobSource, start: int, end: int, size: int, trial: Trial) -> None:
        self._source = source
        self._trial = trial
        self._next = start
        self._end = end
        self._size = size
        self._ahead: deque[_Range] = deque()
        self._window = source.repository.registry.window
        self._room = asyncio.Event()  # set when the window may have become wider
        self._claimed = asyncio.Event()  # set when a range was taken on
        self._workers: set[asyncio.Task[None]] = set()

    async def read(self) -> AsyncGenerator[bytes, None]:
        try:
            self._start(own=True)
            while self._ahead or (self._next < self._end and not self._trial.failed):
                if not self._ahead:
                    self._claimed.clear()
                    await self._claimed.wait()
                head = self._ahead[0]
                async for piece in self._arriving(head):
                    yield piece
                self._ahead.popleft()
                self._window.give_back(head.end - head.start)
                self._room.set()
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            for left in self._ahead:
                self._window.give_back(left.end - left.start)

    async def _arriving(self, part: _Range) -> AsyncGenerator[bytes, None]:
        while True:
            self._hire()
            part.changed.clear()
            while part.here:
                yield part.here.popleft()
            if part.complete and not part.here:
                return
            if part.failed is not None:
                raise part.failed
            if part.worker is not None and part.worker.done():
                part.worker.result()  # it did not come to an end of its own: tell why
            await part.changed.wait()

    def _hire(self) -> None:
        """More workers, as long as there are slots, work, and a registry that knows ranges."""
        lane = self._source.repository.registry.downloads
        if self._trial.ends_in_failure():
            self._room.set()  # the first worker may wait there: it has nothing more to claim
        while (
            not self._trial.failed
            and self._source.repository.registry.abilities.ranges
            and len(self._workers) < _CONNECTIONS
            and self._end - self._next > self._size * len(self._workers)
            and self._window.has(self._size)
            and lane.try_enter()
        ):
            self._start(own=False)

    def _start(self, own: bool) -> None:
        worker = asyncio.create_task(self._work(own))
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)
        if not own:  # a task that is cancelled before it has begun runs no finally of its own
            lane = self._source.repository.registry.downloads
            worker.add_done_callback(lambda _: lane.leave())

    async def _work(self, own: bool) -> None:
        lane = self._source.repository.registry.downloads
        while (part := await self._claim(own)) is not None:
            part.worker = asyncio.current_task()
            try:
                async with aclosing(self._source.read(part.start, part.end)) as pieces:
                    async for piece in pieces:
                        part.here.append(piece)
                        part.changed.set()
                part.complete = True
            except RegistryError as error:
                part.failed = error
                return
            finally:
                part.changed.set()
            if not own and lane.crowded:
                return

    async def _claim(self, own: bool) -> _Range | None:
        """The next range to fetch; None when all are taken.

        Where the window has no room, the first worker waits for it, and the others give their
        slots back to those who can use them.
        """
        while self._next < self._end and not self._trial.failed:
            end = min(self._end, self._next + self._size)
            if self._window.take(end - self._next, must=not self._ahead):
                part = _Range(self._next, end)
                self._next = end
                self._ahead.append(part)
                self._claimed.set()
                return part
            if not own:
                return None
            self._room.clear()
            await self._room.wait()
        return None
