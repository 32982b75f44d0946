"""Limits messages to what a robot accepts in a span of time."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable


class MessageLimiter:
    """At most `limit` messages in any `period` seconds, waiting where needed.

    A sliding window is safe however the robot counts its minutes. `clock` gives seconds.
    """

    def __init__(
        self,
        limit: int,
        period: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limit = limit
        self._period = period
        self._clock = clock
        self._sleep = sleep
        self._sent: deque[float] = deque(maxlen=limit)

    def remember(self, ages: Iterable[float]) -> None:
        """Count messages that other processes sent, `ages` seconds ago each."""
        now = self._clock()
        known = sorted([*self._sent, *(now - age for age in ages)])
        self._sent = deque(known, maxlen=self._limit)

    def delay(self) -> float:
        """Seconds until the next message may go; 0 if it may go now."""
        if len(self._sent) < self._limit:
            return 0.0
        return max(0.0, self._sent[0] + self._period - self._clock())

    async def wait(self) -> None:
        """Wait until a message may go, and count it."""
        while (seconds := self.delay()) > 0:
            await self._sleep(seconds)
        self._sent.append(self._clock())
