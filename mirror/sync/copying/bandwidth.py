"""A cap on the bytes per second of one mirror, all of its blobs together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time
from zoneinfo import ZoneInfo

from mirror.config import RateLimitSettings
from mirror.outcome import utcnow


@dataclass(frozen=True)
class BandwidthCap:
    """How many bytes a second, and at which hours of the day; outside them there is no cap."""

    rate: int
    begin: time = time.min
    end: time = time.min  # the same as begin: all day
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def holds(self, now: datetime) -> bool:
        """True if the cap is in force; hours may span midnight."""
        if self.begin == self.end:
            return True
        local = now.astimezone(self.zone).time()
        if self.begin < self.end:
            return self.begin <= local < self.end
        return local >= self.begin or local < self.end


class BandwidthLimiter:
    """Lets bytes pass at the cap's rate: each caller waits until its bytes are due."""

    def __init__(self, cap: BandwidthCap, clock: Callable[[], datetime] = utcnow) -> None:
        self.cap = cap
        self._clock = clock
        self._due = 0.0

    async def __call__(self, size: int) -> None:
        """Wait until `size` more bytes may pass. Nothing is saved up while the line is idle."""
        if not self.cap.holds(self._clock()):
            return
        now = asyncio.get_running_loop().time()
        self._due = max(self._due, now) + size / self.cap.rate
        await asyncio.sleep(self._due - now)


def bandwidth_limiter_of(limit: RateLimitSettings) -> BandwidthLimiter:
    """The limiter that a mirror's `rate_limit` sets."""
    cap = BandwidthCap(limit.rate, limit.begin, limit.end, ZoneInfo(limit.timezone))
    return BandwidthLimiter(cap)
