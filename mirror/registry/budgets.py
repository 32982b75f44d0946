"""What a registry's answers may cost: entries, pages, bytes and seconds of a list.

A registry decides how long its lists are. Each breach is one error that names the budget; none
counts as an optional request that does not work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mirror.registry.errors import BudgetExceeded
from mirror.registry.http import HttpSession
from mirror.registry.request import RequestContext, Response


@dataclass(frozen=True, slots=True)
class ListLimits:
    """What one list may cost. entries: named as `noun`. seconds: spent on requests and waits."""

    noun: str
    entries: int
    pages: int
    bytes: int = 256 << 20
    seconds: float = 900.0


TAGS: Final = ListLimits("tags", 500_000, 5_000)
HUB_TAGS: Final = ListLimits("tags", 250_000, 2_500, bytes=1 << 30)  # 3 KB a tag, images included
REPOSITORIES: Final = ListLimits("repositories", 100_000, 2_500)
REFERRERS: Final = ListLimits("referrers", 2_000, 500, bytes=32 << 20)  # of one manifest


class ListBudget:
    """What is left for one list, which is read a page after the other."""

    def __init__(self, limits: ListLimits, registry: HttpSession, context: RequestContext) -> None:
        self._limits = limits
        self._context = context
        self._monotonic = registry.clock.monotonic
        self._asked_at = 0.0
        self._seconds = 0.0
        self._pages = 0
        self._bytes = 0

    def asking(self) -> None:
        """A page is about to be requested."""
        self._asked_at = self._monotonic()

    def page(self, response: Response, entries: int) -> None:
        """A page came, and the list has `entries` so far. Raises BudgetExceeded."""
        limits = self._limits
        self._seconds += self._monotonic() - self._asked_at
        self._pages += 1
        self._bytes += len(response.body)
        for spent, most, noun in (
            (entries, limits.entries, limits.noun),
            (self._pages, limits.pages, "pages"),
            (self._bytes, limits.bytes, "bytes"),
            (self._seconds, limits.seconds, "seconds"),
        ):
            if spent > most:
                raise self._context.error(
                    BudgetExceeded,
                    f"the list went on after {most:,.0f} {noun} while {self._context.doing}, the"
                    " budget of one list: not read to its end",
                )
