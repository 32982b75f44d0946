"""Reading a blob over several connections where one is too slow.

One connection is enough in most cases. Where it is not, since the source caps each connection,
ranges ahead of the reader are fetched over further ones and given in order out of a bounded window
(RFC 9110, 14).
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from typing import Final

from mirror.registry.blob_download import BlobReader, Pieces
from mirror.registry.http import OptionalRequest, ParallelTrial, StreamMeter, ThroughputSpan
from mirror.registry.spec import RegistryError

_WORTH: Final = 4 << 20  # bytes left, below which more connections do not pay
_SAMPLE: Final = 0.12  # seconds of streaming before its rate means something
_HUNGRY: Final = 0.8  # share of the time that the reader must have waited
_SLOW: Final = 2.0  # seconds that the rest would take at least: finding out takes nearly one
_LEAST_RANGE: Final = 256 << 10
_MOST_RANGE: Final = 640 << 10
_CONNECTIONS: Final = 24


async def read_fast(reader: BlobReader, start: int, end: int) -> Pieces:
    """The bytes [start, end): by one connection, and by more once that proves too slow."""
    registry = reader.repository.registry
    position, meter = start, StreamMeter(registry.clock.monotonic)
    before: ThroughputSpan | None = None
    async with aclosing(reader.read(start, end)) as pieces:
        meter.requested()
        async for piece in pieces:
            meter.received(len(piece))
            position += len(piece)
            yield piece
            before = before or registry.throughput.measure()
            if _too_slow(reader, meter, end - position):
                break
            meter.requested()
    if position < end:
        size = int(min(max(meter.rate / 4, _LEAST_RANGE), _MOST_RANGE))
        trial = ParallelTrial(registry.throughput, before.rate if before else 0.0)
        async with aclosing(_Ranges(reader, position, end, size, trial).read()) as pieces:
            async for piece in pieces:
                position += len(piece)
                yield piece
    if position < end:  # more connections did not bring more
        async with aclosing(reader.read(position, end)) as pieces:
            async for piece in pieces:
                yield piece


def _too_slow(reader: BlobReader, meter: StreamMeter, left: int) -> bool:
    registry = reader.repository.registry
    return (
        left >= _WORTH
        and meter.seconds >= _SAMPLE
        and meter.waiting_share >= _HUNGRY
        and left > meter.rate * _SLOW
        and registry.capabilities.ranges is not False
        and registry.health.piece is None
        and registry.throughput.more_may_pay
        and registry.downloads.free > 0
    )


class _Range:
    """A part of the blob that is being fetched."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.pieces: deque[bytes] = deque()
        self.complete = False
        self.failed: RegistryError | None = None
        self.changed = asyncio.Event()
        self.worker: asyncio.Task[None] | None = None


class _Ranges:
    """Workers that fetch ranges, and the reader that gives them in order.

    The first worker runs on its caller's transfer slot, so that there is always progress; the
    others come and go with the registry's free slots.
    """

    def __init__(
        self, reader: BlobReader, start: int, end: int, size: int, trial: ParallelTrial
    ) -> None:
        self._reader = reader
        self._registry = reader.repository.registry
        self._slots = self._registry.downloads
        self._window = self._registry.window
        self._trial = trial
        self._next = start
        self._end = end
        self._size = size
        self._ahead: deque[_Range] = deque()
        self._room = asyncio.Event()  # set when the window may have grown
        self._claimed = asyncio.Event()  # set when a worker took a range
        self._workers: set[asyncio.Task[None]] = set()

    async def read(self) -> Pieces:
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

    async def _arriving(self, part: _Range) -> Pieces:
        while True:
            self._hire()
            part.changed.clear()
            while part.pieces:
                yield part.pieces.popleft()
            if part.complete and not part.pieces:
                return
            if part.failed is not None:
                raise part.failed
            if part.worker is not None and part.worker.done():
                part.worker.result()  # it failed otherwise: raise what it raised
            await part.changed.wait()

    def _hire(self) -> None:
        """More workers, as long as there are slots, work, and a registry that knows ranges."""
        if self._trial.ends_in_failure():
            self._room.set()  # the first worker may wait for it: it has nothing more to claim
        while (
            not self._trial.failed
            and self._registry.capabilities.ranges
            and len(self._workers) < _CONNECTIONS
            and self._end - self._next > self._size * len(self._workers)
            and self._window.has(self._size)
            and self._slots.try_enter()
        ):
            self._start(own=False)

    def _start(self, own: bool) -> None:
        worker = asyncio.create_task(self._work(own))
        self._workers.add(worker)
        worker.add_done_callback(self._workers.discard)
        if not own:  # a task that is cancelled before it starts runs no finally
            worker.add_done_callback(lambda _: self._slots.leave())

    async def _work(self, own: bool) -> None:
        while (part := await self._claim(own)) is not None:
            part.worker = asyncio.current_task()
            try:
                async with aclosing(self._reader.read(part.start, part.end)) as pieces:
                    async for piece in pieces:
                        part.pieces.append(piece)
                        part.changed.set()
                part.complete = True
            except RegistryError as error:
                part.failed = error
                return
            finally:
                part.changed.set()
            if not own and self._slots.crowded:
                return

    async def _claim(self, own: bool) -> _Range | None:
        """The next range to fetch; None when all are taken.

        Where the window has no room, the first worker waits for it, and the others give up their
        slots to those who can use them.
        """
        while self._next < self._end and not self._trial.failed:
            if OptionalRequest.RANGES.value in self._registry.capabilities.refusals:
                self._trial.failed = True  # the rest goes in one stream
                return None
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
