"""How many requests to one registry run concurrently."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self

from mirror.registry.http.retries import Clock

_SAMPLE_SECONDS: Final = 0.5
_SAMPLE_COUNT: Final = 16
_REST_SECONDS: Final = 5.0  # before growing is tried again
_PAYS: Final = 1.05  # growing must bring this much more to be worth it
_NEAR: Final = 0.06  # seconds a response takes where `requests` at once are enough
_TURNS: Final = 4  # of which the quickest shows how far away a registry is
_QUEUEING: Final = 3.0  # times the quickest response, on the average: more at once only wait
_WARM_UP: Final = 5.0  # times the quickest response, until new connections have been opened
_CAREFUL_SECONDS: Final = 60.0  # after the registry reported overload: no more for distance


@dataclass(frozen=True, slots=True)
class Concurrency:
    """Bounds per registry. Requests without a blob body and blob transfers are counted apart.

    requests: concurrent ones at the start, and what a registry nearby gets; far away as many more
    as the same number a second takes. It adapts between least and most_requests.
    transfers: concurrent blob bodies in each direction. window: bytes that may be fetched ahead
    of their readers, for all blobs of the registry together.
    """

    requests: int = 64
    most_requests: int = 256
    least: int = 2
    transfers: int = 24
    window: int = 16 << 20

    @classmethod
    def at_most(cls, most: int | None) -> Self:
        """The usual bounds, and no more than `most` requests."""
        usual = cls()
        if most is None:
            return usual
        return cls(min(usual.requests, most), most, min(usual.least, most))


class Window:
    """Bytes that may be held at once."""

    def __init__(self, size: int) -> None:
        self._free = size

    def has(self, size: int) -> bool:
        """Whether there is room for `size` bytes."""
        return size <= self._free

    def take(self, size: int, *, must: bool) -> bool:
        """Take room for `size` bytes; False when there is none. must: take it regardless."""
        if size > self._free and not must:
            return False
        self._free -= size
        return True

    def give_back(self, size: int) -> None:
        """Free the room of `size` bytes."""
        self._free += size


@dataclass(slots=True)
class _Sample:
    """What was seen since `started`: turns that ended, their seconds, whether others waited."""

    started: float
    count: int = 0
    seconds: float = 0.0
    full: bool = False


class ConcurrencyLimiter:
    """A first-come-first-served limit that adapts to the load that the registry sustains.

    Far away each request takes longer, so the same number a second takes more at once (Little's
    law): the width grows with the quickest response seen, and goes back to twice what the rate
    takes where the others are three times as slow. While it is full it tries a quarter more, keeps
    that if more responses arrive per second, and goes back otherwise. It drops by a third when
    responses take three times as long at half the rate, and when the registry reports overload.
    `pause` holds everyone back.
    """

    def __init__(
        self, width: int, most: int, least: int, clock: Clock, *, adapts: bool = True
    ) -> None:
        """adapts: false where turns differ too much in length to be compared (transfers)."""
        self._clock = clock
        self._adapts = adapts
        self._width = float(width)
        self._most = most
        self._least = least
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0
        self._shrunk_at = -_CAREFUL_SECONDS
        self._near = float(width)
        self._turns = 0
        self._warm_at = 0.0
        self._quickest = float("inf")  # seconds
        self._sample = _Sample(clock.monotonic())
        self._before: float | None = None  # the width before the one that is being tried
        self._rate = 0.0  # responses per second, and seconds per response, of the last sample
        self._seconds = float("inf")
        self._next_try = 0.0

    @property
    def width(self) -> int:
        """How many may run concurrently now."""
        return int(self._width)

    @property
    def free(self) -> int:
        """How many more could start at once."""
        return 0 if self._waiting else max(0, self.width - self._busy)

    @property
    def crowded(self) -> bool:
        """Whether anyone waits for a turn."""
        return bool(self._waiting)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a turn; it ends with the block."""
        await self._enter()
        started = self._clock.monotonic()
        try:
            yield
        finally:
            self._record(started)
            self.leave()

    def try_enter(self) -> bool:
        """Start a turn without waiting, if there is room; `leave` ends it."""
        if self.free < 1 or self._clock.monotonic() < self._paused_until:
            return False
        self._busy += 1
        return True

    def leave(self) -> None:
        """End a turn that `try_enter` started."""
        self._busy -= 1
        self._wake()

    def shrink(self) -> None:
        """The registry is overloaded: reduce the width by a third, at most once a second."""
        now = self._clock.monotonic()
        if now - self._shrunk_at >= 1.0:
            self._shrunk_at, self._before = now, None
            self._width = max(float(self._least), self._width * 2 / 3)

    def pause(self, seconds: float) -> None:
        """Start no turn for so many seconds (Retry-After)."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def _record(self, started: float) -> None:
        """A turn that started at `started` is over: adapt the width once the sample is full."""
        now, sample = self._clock.monotonic(), self._sample
        sample.count += 1
        sample.seconds += now - started
        sample.full = sample.full or bool(self._waiting)
        if not self._adapts:
            return
        self._turns += 1
        self._quickest = min(self._quickest, now - started)
        if self._turns == _TURNS:
            self._reach(now)
        elapsed = now - sample.started
        if elapsed < _SAMPLE_SECONDS or sample.count < _SAMPLE_COUNT:
            return
        rate, seconds = sample.count / elapsed, sample.seconds / sample.count
        if self._before is not None and rate < self._rate * _PAYS:
            self._width, self._next_try = min(self._width, self._before), now + _REST_SECONDS
            self._before = None
        elif sample.full and rate < self._rate / 2 and seconds > self._seconds * 3:
            self._width = max(float(self._least), self._width * 2 / 3)
            self._before = None
        elif (
            self._width > self._near
            and sample.started >= self._warm_at
            and seconds > self._quickest * _QUEUEING
        ):
            self._width = max(self._near, min(self._width, 2 * rate * self._quickest))
            self._before, self._next_try = None, now + _REST_SECONDS
        elif sample.full and self._width < self._most and now >= self._next_try:
            self._before = self._width
            self._width = min(float(self._most), self._width * 1.25)
            self._wake()
        else:
            self._before = None
        self._rate, self._seconds, self._sample = rate, seconds, _Sample(now)

    def _reach(self, now: float) -> None:
        """Allow as many as keep a registry as busy that is this far away as one nearby."""
        wanted = min(float(self._most), self._near * self._quickest / _NEAR)
        if wanted > self._width and now - self._shrunk_at >= _CAREFUL_SECONDS:
            self._width, self._warm_at = wanted, now + _WARM_UP * self._quickest
            self._wake()

    async def _enter(self) -> None:
        if self._waiting or self._busy >= self.width:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.leave()
                elif turn in self._waiting:
                    self._waiting.remove(turn)
                raise
        else:
            self._busy += 1
        held = self._paused_until - self._clock.monotonic()
        if held > 0:
            try:
                await self._clock.sleep(held)
            except asyncio.CancelledError:
                self.leave()
                raise

    def _wake(self) -> None:
        while self._waiting and self._busy < self.width:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._busy += 1
                turn.set_result(None)
