"""Limits per time: requests a minute (429 with Retry-After) and Docker Hub's pull quota."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from flows.demo.answers import RefusalError
from flows.demo.behaviour import PullQuota, Throttle


class Throttling:
    """Sliding windows of reads and writes."""

    def __init__(self, throttle: Throttle, clock: Callable[[], float] = time.monotonic) -> None:
        self._throttle = throttle
        self._clock = clock
        self._seen: dict[bool, deque[float]] = {True: deque(), False: deque()}

    def check(self, method: str) -> None:
        """Count a request; 429 TOOMANYREQUESTS with Retry-After (seconds) over the limit."""
        reads = method in {"GET", "HEAD"}
        limit = self._throttle.reads if reads else self._throttle.writes
        if limit is None:
            return
        seen, now = self._seen[reads], self._clock()
        while seen and seen[0] <= now - self._throttle.window:
            seen.popleft()
        if len(seen) >= limit:
            wait = seen[0] + self._throttle.window - now
            raise RefusalError(
                429,
                "TOOMANYREQUESTS",
                "too many requests",
                headers={"Retry-After": str(max(1, round(wait)))},
            )
        seen.append(now)


class Pulls:
    """Docker Hub's quota: manifest GETs count, HEADs only tell what is left."""

    def __init__(self, quota: PullQuota) -> None:
        self._quota = quota
        self.used = quota.used

    def headers(self) -> dict[str, str]:
        """ratelimit-limit, ratelimit-remaining and docker-ratelimit-source."""
        left = max(0, self._quota.limit - self.used)
        return {
            "ratelimit-limit": f"{self._quota.limit};w={self._quota.window}",
            "ratelimit-remaining": f"{left};w={self._quota.window}",
            "docker-ratelimit-source": "127.0.0.1",
        }

    def count(self, method: str) -> None:
        """Count a manifest request; 429 toomanyrequests when nothing is left."""
        if method != "GET":
            return
        if self.used >= self._quota.limit:
            raise RefusalError(
                429,
                "TOOMANYREQUESTS",
                "You have reached your unauthenticated pull rate limit. "
                "https://www.docker.com/increase-rate-limit",
                headers=self.headers(),
            )
        self.used += 1
