"""A clock whose time passes only when the test lets it: hours of waiting in milliseconds."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from mirror.registry import Clock


class VirtualTime:
    """Seconds that pass when everything that runs waits for them."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleeping: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @property
    def clock(self) -> Clock:
        """The clock for what is tested."""
        return Clock(sleep=self.sleep, monotonic=lambda: self.now, random=lambda: 0.5)

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleeping, (self.now + seconds, next(self._numbers), future))
        await future

    async def pass_until(self, moment: float) -> None:
        """Let time pass until `moment`."""
        await settle()
        while self._sleeping and self._sleeping[0][0] <= moment:
            at, _, future = heapq.heappop(self._sleeping)
            if future.done():
                continue
            self.now = at
            future.set_result(None)
            await settle()
        self.now = moment


async def settle() -> None:
    """Let every task that can run do so until it waits."""
    for _ in range(25):
        await asyncio.sleep(0)
