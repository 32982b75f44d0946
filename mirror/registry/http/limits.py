"""What one run may take of what registries answer.

A registry decides how long its lists are and what its manifests name. Each breach is one error that
names the budget and the setting to raise (`limits` in mirrors.yaml).
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mirror.registry.spec import BudgetExceeded

if TYPE_CHECKING:
    from mirror.registry.http.request import (
        RequestContext,  # with httpx, which reports do without
    )
    from mirror.registry.spec import Manifest

_TAG_BYTES: Final = 250  # of memory that a listed tag takes until the run ends
_DESCRIPTOR_BYTES: Final = 800  # the same of a manifest or blob that a manifest names
_LARGE: Final = 128 << 10  # bytes of memory: no manifest of an image comes near


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a run unless the name says otherwise; times in seconds, sizes in bytes.

    tags, repositories: in one list. list_pages, list_time: of one list. manifest_referrers: of one
    manifest. tag_descriptors: manifests and blobs that one tag leads to. layer_time: for a layer,
    beyond its size over least_rate. least_rate: bytes a second of any body. memory: of what lists
    and manifests leave behind until the run ends, estimated.
    """

    tags: int = 250_000
    repositories: int = 100_000
    list_pages: int = 5_000
    pages: int = 20_000
    manifest_referrers: int = 2_000
    referrers: int = 50_000
    tag_descriptors: int = 20_000
    descriptors: int = 1_000_000
    requests: int = 2_000_000
    memory: int = 120_000_000
    least_rate: float = 1_000.0
    list_time: float = 900.0
    layer_time: float = 600.0
    run_time: float = 86_400.0

    def layer_seconds(self, size: int) -> float:
        """How long a blob of so many bytes may take."""
        return size / self.least_rate + self.layer_time


class RunBudget:
    """What is left for one run, all of its clients together. `breach` is the error that ended it.

    A run that has used up its requests or its time sends nothing more. One that has read too much
    begins nothing more, and what it has copied is still verified.
    """

    def __init__(
        self, limits: Limits | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits or Limits()
        self._monotonic = monotonic
        self._began = monotonic()
        self.breach: BudgetExceeded | None = None
        self._over: BudgetExceeded | None = None
        self._spent: dict[str, int] = {}
        self._large = 0
        self._named: set[int] = set()  # hashes of digests

    def renew(self) -> None:
        """Begin another run with the same clients."""
        self.breach = self._over = None
        self._began = self._monotonic()
        self._spent.clear()
        self._named.clear()

    def request(self, context: RequestContext) -> None:
        """A request is about to be sent. Raises BudgetExceeded, as all of these do."""
        self.going_on(context)
        try:
            self._spend("requests", 1, self.limits.requests, context)
        except BudgetExceeded as error:
            self._over = error
            raise

    def going_on(self, context: RequestContext) -> None:
        """Something that takes long goes on."""
        if self._over is not None:
            raise self._over
        if self._monotonic() - self._began > self.limits.run_time:
            most = f"{self.limits.run_time:,.0f} seconds"
            self._over = self._exceeded("run_time", most, context)
            raise self._over

    def page(self, context: RequestContext) -> None:
        """A page of some list came."""
        self._spend("pages", 1, self.limits.pages, context)

    def tags(self, count: int, context: RequestContext) -> None:
        """So many more tags were listed."""
        self._hold(count * _TAG_BYTES, context)

    def referrers(self, count: int, context: RequestContext) -> None:
        """So many more referrers were listed."""
        self._spend("referrers", count, self.limits.referrers, context)
        self._hold(count * _DESCRIPTOR_BYTES, context)

    def descriptors(self, digests: Collection[str], context: RequestContext) -> None:
        """A manifest was read that names these others and blobs. Each takes memory once."""
        self._spend("descriptors", len(digests), self.limits.descriptors, context)
        new = {hash(digest) for digest in digests} - self._named
        self._named |= new
        self._hold(len(new) * _DESCRIPTOR_BYTES, context)

    def _exceeded(self, budget: str, most: str, context: RequestContext) -> BudgetExceeded:
        error = context.error(
            BudgetExceeded,
            f"the run needs more than {most} while {context.doing}: its budget is used up"
            f" (limits.{budget} in mirrors.yaml raises it)",
        )
        self.breach = self.breach or error
        return error

    def hold(self, manifest: Manifest, context: RequestContext) -> None:
        """A manifest was read. Large ones count as long as they are held by anybody."""
        size = manifest.memory
        if size < _LARGE:
            return
        most = self.limits.memory // 8
        if self._large + size > most:
            raise context.error(
                BudgetExceeded,
                f"the manifest takes {size:,} bytes of memory, beside {self._large:,} of other"
                f" large ones: more than {most:,} at once, the budget of a run (limits.memory_mb in"
                " mirrors.yaml raises it)",
            )
        self._large += size
        weakref.finalize(manifest, self._released, size)

    def _released(self, size: int) -> None:
        self._large -= size

    def _spend(self, budget: str, count: int, most: int, context: RequestContext) -> None:
        spent = self._spent[budget] = self._spent.get(budget, 0) + count
        if spent > most:
            raise self._exceeded(budget, f"{most:,} {budget}", context)

    def _hold(self, size: int, context: RequestContext) -> None:
        held = self._spent["memory"] = self._spent.get("memory", 0) + size
        if held > self.limits.memory:
            most = f"{self.limits.memory // 1_000_000:,} MB of memory"
            raise self._exceeded("memory_mb", most, context)
