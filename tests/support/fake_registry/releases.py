"""A history of releases."""

from __future__ import annotations

from collections.abc import Sequence

from flows.local.sample_registry.releases import Release, release


def past_releases(count: int, *, sizes: Sequence[int] = (2048, 4096)) -> list[Release]:
    """`count` pre-releases, oldest first: 0.1.0-beta.1, ... each of which moved the floating tags.

    Push them in this order, and the floating tags end up at the last one.
    """
    return [release(f"0.1.0-beta.{number}", sizes=sizes) for number in range(1, count + 1)]
