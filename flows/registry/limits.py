"""How many requests to one registry are under way at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flows.registry.retries import Clockwork


@dataclass(frozen=True, slots=True)
class Concurrency:
    """Bounds, per registry. Requests that carry no blob, and blob transfers, count apart.

    requests: at once at the start; most_requests, least: what adapting may make of it.
    transfers: blob bodies at once, in each direction. window: bytes that may lie fetched ahead of
    their readers, for all blobs of the registry together.
    """

    requests: int = 64
    most_requests: int = 128
    least: int = 2
    transfers: int = 24
    window: int = 24 << 20


class Window:
    """Bytes that may be held at once."""

    def __init__(self, size: int) -> None:
        self._free = size

    def take(self, size: int, *, must: bool) -> bool:
        """Take room for `size` bytes; False when there is none. must: take it all the same."""
        if size > self._free and not must:
            return False
        self._free -= size
        return True

    def give_back(self, size: int) -> None:
        """The bytes are gone."""
        self._free += size


class Lane:
    """A queue with a width that adapts: it grows while that pays, and shrinks when told to.

    First come, first served, so that nothing starves. `pause` holds everybody back.
    """

    def __init__(self, width: int, most: int, least: int, clock: Clockwork) -> None:
        self._clock = clock
        self._width = float(width)
        self._most = most
        self._least = least
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._paused_until = 0.0
        self._shrunk_at = 0.0

    @property
    def width(self) -> int:
        """How many may be under way at once now."""
        return int(self._width)

    @property
    def free(self) -> int:
        """How many more could begin at once."""
        return 0 if self._waiting else max(0, self.width - self._busy)

    @property
    def crowded(self) -> bool:
        """Whether somebody waits for a turn."""
        return bool(self._waiting)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for one's turn; the turn ends with the block."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    def try_enter(self) -> bool:
        """Begin without waiting, if there is room; `leave` ends it."""
        if self.free < 1 or self._clock.monotonic() < self._paused_until:
            return False
        self._busy += 1
        return True

    def leave(self) -> None:
        """End what `try_enter` began."""
        self._leave()

    def grow(self) -> None:
        """An answer came in good time: a little wider, if the width is what held us back."""
        if self._busy >= self.width and self._width < self._most:
            self._width = min(float(self._most), self._width + 1.0 / self._width)
            self._wake()

    def shrink(self) -> None:
        """The registry is overloaded: narrower by a third, at most once a second."""
        now = self._clock.monotonic()
        if now - self._shrunk_at >= 1.0:
            self._shrunk_at = now
            self._width = max(float(self._least), self._width * 2 / 3)

    def pause(self, seconds: float) -> None:
        """Nobody begins for so long (Retry-After)."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    async def _enter(self) -> None:
        if self._waiting or self._busy >= self.width:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
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
                self._leave()
                raise

    def _leave(self) -> None:
        self._busy -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._busy < self.width:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._busy += 1
                turn.set_result(None)
