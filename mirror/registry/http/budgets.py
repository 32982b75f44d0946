"""What one list of a registry may cost: entries, pages, bytes and seconds."""

from __future__ import annotations

from typing import Final

from mirror.registry.http.client import HttpSession
from mirror.registry.http.limits import Limits
from mirror.registry.http.request import RequestContext, Response
from mirror.registry.spec import BudgetExceeded

_BYTES: Final = {"tags": 256 << 20, "repositories": 256 << 20, "referrers": 32 << 20}


class ListBudget:
    """What is left for one list, which is read a page after the other.

    noun: what it lists: `tags`, `repositories` or `referrers` (of one manifest). A breach concerns
    the list; the pages of all lists together, and what they hold in memory, are the run's.
    """

    def __init__(
        self,
        noun: str,
        registry: HttpSession,
        context: RequestContext,
        most_bytes: int | None = None,
    ) -> None:
        limits = registry.budget.limits
        setting, most = _entries(noun, limits)
        self._bounds = (
            (setting, most, noun),
            ("list_pages", limits.list_pages, "pages"),
            ("", most_bytes or _BYTES[noun], "bytes"),
            ("list_time", limits.list_time, "seconds"),
        )
        self._noun = noun
        self._run = registry.budget
        self._context = context
        self._monotonic = registry.clock.monotonic
        self._asked_at = 0.0
        self._seconds = 0.0
        self._pages = 0
        self._bytes = 0
        self._entries = 0

    def asking(self) -> None:
        """A page is about to be requested."""
        self._asked_at = self._monotonic()

    def page(self, response: Response, entries: int) -> None:
        """A page came, and the list has `entries` so far. Raises BudgetExceeded."""
        self._seconds += self._monotonic() - self._asked_at
        self._pages += 1
        self._bytes += len(response.body)
        spent = (entries, self._pages, self._bytes, self._seconds)
        for amount, (setting, most, noun) in zip(spent, self._bounds, strict=True):
            if amount > most:
                raised = f" (limits.{setting} in mirrors.yaml raises it)" if setting else ""
                raise self._context.error(
                    BudgetExceeded,
                    f"the list went on after {most:,.0f} {noun} while {self._context.doing}, the"
                    f" budget of one list: not read to its end{raised}",
                )
        more, self._entries = max(entries - self._entries, 0), entries
        self._run.page(self._context)
        if self._noun == "referrers":
            self._run.referrers(more, self._context)
        else:
            self._run.tags(more, self._context)


def _entries(noun: str, limits: Limits) -> tuple[str, int]:
    if noun == "referrers":
        return "manifest_referrers", limits.manifest_referrers
    return noun, limits.tags if noun == "tags" else limits.repositories
