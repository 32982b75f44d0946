"""How many manifests and blobs one tag may lead to, indexes in indexes and referrers included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mirror.registry import BudgetExceeded, Manifest

_left: ContextVar[list[int] | None] = ContextVar("mirror_tag_budget", default=None)
"""What the tag that the current task copies has left."""


class TagBudget:
    """The budget of each tag of one run. What tags share counts for the one that brings it."""

    def __init__(self, most: int) -> None:
        self._most = most

    @contextmanager
    def of_one_tag(self) -> Iterator[None]:
        """Count for one tag what is spent within, in tasks begun there too."""
        token = _left.set([self._most])
        try:
            yield
        finally:
            _left.reset(token)

    def spend(self, manifest: Manifest, where: str) -> None:
        """Count what a manifest names; `where` it was found. Raises BudgetExceeded."""
        left = _left.get()
        if left is None:
            return
        left[0] -= len(manifest.children) + len(manifest.blobs)
        if left[0] < 0:
            raise BudgetExceeded(
                f"{where}: its tag leads to more than {self._most:,} manifests and blobs, the"
                " budget of one tag (limits.tag_descriptors in mirrors.yaml raises it)"
            )
