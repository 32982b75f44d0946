"""Whether and when a failed request is sent again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

RETRIED_STATUSES: Final = frozenset({408, 425, 429, 499, 500, 502, 503, 504, 520, 522, 524})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter (AWS architecture blog, 2015).

    attempts: how often a request is sent in all. base, cap: the first and the longest wait in
    seconds. patience: the longest Retry-After in seconds to wait for; with a longer one the
    request fails.
    """

    attempts: int = 5
    base: float = 0.25
    cap: float = 20.0
    patience: float = 120.0

    def wait(self, attempt: int, asked: float | None, chance: float) -> float | None:
        """Seconds before attempt number `attempt` + 1; None for no further attempt.

        attempt: how many there were. asked: seconds from Retry-After. chance: in [0, 1).
        """
        if attempt >= self.attempts:
            return None
        if asked is not None and asked > self.patience:
            return None
        backoff = min(self.cap, self.base * 2.0 ** (attempt - 1)) * (0.5 + chance / 2)
        return max(asked or 0.0, backoff)


def _utcnow() -> datetime:
    return datetime.now(UTC)


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and chance, injectable so that tests need not wait."""

    now: Callable[[], datetime] = field(default=_utcnow)
    sleep: Callable[[float], Awaitable[None]] = field(default=_sleep)
    monotonic: Callable[[], float] = field(default=time.monotonic)
    random: Callable[[], float] = field(default=random.random)
