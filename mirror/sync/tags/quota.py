"""Spending a pull quota only as far as it goes.

Docker Hub counts manifest GETs (docs.docker.com, "Docker Hub pull usage and limits"); an image for
several platforms costs one for its index and one for each platform, its attestations too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mirror.outcome import Change, Quota, SourceTag
from mirror.registry import Repository

_UNKNOWN_COST = 5  # an index, two platforms and their attestations
_RESERVE = 0.05  # of the limit: what else pulls from this address is not cut off by us


@dataclass(frozen=True)
class Budget:
    """Which changes the quota allows now, and why it does not allow the others."""

    affordable: tuple[Change, ...]
    deferred: tuple[Change, ...] = ()
    quota: Quota | None = None

    @property
    def resumes_at(self) -> datetime | None:
        """When the deferred changes can be copied at the latest; None if nothing is deferred."""
        if self.quota is None or not self.deferred:
            return None
        return self.quota.read_at + timedelta(seconds=self.quota.window_seconds)

    @property
    def reason(self) -> str:
        """One line that says why changes are deferred; empty if none is."""
        if self.quota is None or self.resumes_at is None:
            return ""
        return (
            f"not enough pull quota at {self.quota.registry} ({self.quota.remaining} of"
            f" {self.quota.limit} left); resumes by {self.resumes_at:%Y-%m-%d %H:%M} UTC;"
            " a credential for the source raises the quota"
        )


def read_quota(source: Repository) -> Quota | None:
    """The source's pull quota as its registry last reported it; None where it reports none."""
    reading = source.registry.quota
    if reading is None:
        return None
    return Quota(
        registry=source.registry.endpoint.host,
        account=reading.source,
        limit=reading.limit,
        remaining=reading.remaining,
        window_seconds=reading.window_seconds,
        read_at=reading.read_at,
    )


def spend(changes: Sequence[Change], tags: Iterable[SourceTag], quota: Quota | None) -> Budget:
    """Divide the changes by what is left of the quota, in their order; a digest costs once.

    Without a quota everything is affordable.
    """
    if quota is None:
        return Budget(tuple(changes))
    by_name = {tag.name: tag for tag in tags}
    left = quota.remaining - int(quota.limit * _RESERVE)
    paid: set[str] = set()
    affordable: list[Change] = []
    deferred: list[Change] = []
    for change in changes:
        cost = 0 if change.digest in paid else _cost(by_name.get(change.tag))
        if deferred or cost > left:
            deferred.append(change)
            continue
        left -= cost
        paid.add(change.digest)
        affordable.append(change)
    return Budget(tuple(affordable), tuple(deferred), quota)


def _cost(tag: SourceTag | None) -> int:
    return 1 + 2 * len(tag.platforms) if tag and tag.platforms else _UNKNOWN_COST
