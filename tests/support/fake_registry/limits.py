"""Limits per time: requests a minute (429 with Retry-After) and Docker Hub's pull quota."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from flows.local.sample_registry.replies import RefusalError
from tests.support.fake_registry.behaviour import PullQuota, Throttle


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
    """Docker Hub's quota, per user: manifest GETs count, HEADs only report what is left."""

    def __init__(self, quota: PullQuota) -> None:
        self._quota = quota
        self._used: dict[str | None, int] = {}

    def headers(self, user: str | None) -> dict[str, str]:
        """ratelimit-limit, ratelimit-remaining and docker-ratelimit-source."""
        limit, window = self._limit(user), self._quota.window
        left = max(0, limit - self.used(user))
        return {
            "ratelimit-limit": f"{limit};w={window}",
            "ratelimit-remaining": f"{left};w={window}",
            "docker-ratelimit-source": user or "127.0.0.1",
        }

    def used(self, user: str | None) -> int:
        """Pulls so far; None is everybody without a login."""
        return self._used.get(user, self._quota.used)

    def count(self, method: str, user: str | None) -> None:
        """Count a manifest request; 429 TOOMANYREQUESTS when nothing is left."""
        if method != "GET":
            return
        if self.used(user) >= self._limit(user):
            raise RefusalError(
                429,
                "TOOMANYREQUESTS",
                "You have reached your pull rate limit. https://www.docker.com/increase-rate-limit",
                headers=self.headers(user),
            )
        self._used[user] = self.used(user) + 1

    def _limit(self, user: str | None) -> int:
        return self._quota.limit if user is None else self._quota.logged_in
