"""Requests a minute that looks at one registry may cost, all of its sources together."""

from __future__ import annotations

import asyncio

from mirror.registry import HUB, Clock

# Docker Hub's web API allows 180 requests a minute to an address (its X-RateLimit-Limit), which
# syncs and people share. Azure's smallest registries allow 1,000 reads a minute.
HUB_A_MINUTE = 60
OTHERS_A_MINUTE = 240


def requests_a_minute(registry: str) -> int:
    """The budget of a registry, by its host."""
    return HUB_A_MINUTE if registry == HUB else OTHERS_A_MINUTE


class RequestBudget:
    """Lets looks start while there is something left; what they cost is known afterwards.

    A look that costs more than a minute's requests delays the next ones for longer.
    """

    def __init__(self, a_minute: int, clock: Clock) -> None:
        self._a_minute = float(a_minute)
        self._left = float(a_minute)
        self._clock = clock
        self._at = clock.monotonic()
        self._queue = asyncio.Lock()

    async def wait(self) -> None:
        """Wait, first come, first served, until a look may start."""
        async with self._queue:
            while (left := self._refill()) <= 0:
                await self._clock.sleep((1 - left) * 60 / self._a_minute)

    def spend(self, requests: int) -> None:
        """Take what a look cost."""
        self._refill()
        self._left -= requests

    def _refill(self) -> float:
        now = self._clock.monotonic()
        self._left = min(self._a_minute, self._left + (now - self._at) * self._a_minute / 60)
        self._at = now
        return self._left
