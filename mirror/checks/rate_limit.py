"""Requests at a set pace, for work that must never get in the way of the syncs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx

Sleep = Callable[[float], Awaitable[None]]


class RateLimiter:
    """RateLimiter at most `rate` times a second, shared by whoever waits for one."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`clock`: seconds, monotonic; the event loop's if not given."""
        self._interval = 1.0 / rate
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for one's turn. Time in which nobody asked is not saved up for a burst."""
        now = (self._clock or asyncio.get_running_loop().time)()
        due = max(now, self._next)
        self._next = due + self._interval
        if due > now:
            await self._sleep(due - now)


class RateLimitedTransport(httpx.AsyncBaseTransport):
    """Sends with another transport; every request waits for its turn, tokens and redirects too."""

    def __init__(self, inner: httpx.AsyncBaseTransport, turns: RateLimiter) -> None:
        self._inner = inner
        self._turns = turns

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wait, then send."""
        await self._turns.turn()
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._inner.aclose()
