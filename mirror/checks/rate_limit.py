"""A limit on requests a second, for work that must never get in the way of the syncs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx

Sleep = Callable[[float], Awaitable[None]]


class RateLimiter:
    """Admits at most `rate` requests a second, of all that share it."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`clock`: seconds, monotonic; the event loop's if not given."""
        self.rate = rate
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0

    async def wait(self) -> None:
        """Wait until the next request may go. Idle time is not saved up for a burst."""
        now = (self._clock or asyncio.get_running_loop().time)()
        due = max(now, self._next)
        self._next = due + 1.0 / self.rate
        if due > now:
            await self._sleep(due - now)


class RateLimitedTransport(httpx.AsyncBaseTransport):
    """Sends with another transport; every request waits, those for tokens and redirects too."""

    def __init__(self, inner: httpx.AsyncBaseTransport, limiter: RateLimiter) -> None:
        self._inner = inner
        self._limiter = limiter

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wait, then send."""
        await self._limiter.wait()
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()
