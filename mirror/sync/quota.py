"""Spending a pull quota only as far as it goes.

Docker Hub counts manifest GETs (docs.docker.com, "Docker Hub pull usage and limits"); an image for
several platforms costs one for its index and one for each platform, its attestations too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mirror.outcome import Change, Quota, SourceTag

_UNKNOWN_COST = 5  # an index, two platforms and their attestations
_RESERVE = 0.05  # of the limit: what else pulls from this address is not cut off by us


@dataclass(frozen=True)
class Budget:
    """Which changes the quota allows now, and when the others can go on."""

    affordable: tuple[Change, ...]
    put_off: tuple[Change, ...]
    goes_on_at: datetime | None = None


def spend(changes: Sequence[Change], tags: Mapping[str, SourceTag], quota: Quota | None) -> Budget:
    """Divide the changes by what is left of the quota, in their order; a digest costs once.

    Without a quota everything is affordable.
    """
    if quota is None:
        return Budget(tuple(changes), ())
    left = quota.remaining - int(quota.limit * _RESERVE)
    paid: set[str] = set()
    affordable: list[Change] = []
    put_off: list[Change] = []
    for change in changes:
        cost = 0 if change.digest in paid else _cost(tags.get(change.tag))
        if put_off or cost > left:
            put_off.append(change)
            continue
        left -= cost
        paid.add(change.digest)
        affordable.append(change)
    goes_on = quota.read_at + timedelta(seconds=quota.window_seconds) if put_off else None
    return Budget(tuple(affordable), tuple(put_off), goes_on)


def _cost(tag: SourceTag | None) -> int:
    return 1 + 2 * len(tag.platforms) if tag and tag.platforms else _UNKNOWN_COST
