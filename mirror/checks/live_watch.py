"""The watch that stays: looks at every source again and again, and starts syncs as they move.

Each source has its own pace, held back by its registry's budget of requests. A source may also be
woken: somebody says that it moved. Nothing that goes wrong in a look or a sync ends the watch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mirror.checks.request_budget import RequestBudget, requests_a_minute
from mirror.checks.sync_starter import SyncStarter
from mirror.checks.watch import WatchResult
from mirror.config import MirrorSettings
from mirror.outcome import utcnow
from mirror.registry import Clock, Reference

_GAP: Final = 1.0  # seconds between looks at one source that is woken again and again
_LONGEST: Final = 300.0  # seconds until a source that fails is looked at again, at most
_LONGEST_AWAY: Final = 40.0  # if it does not answer: a tag must arrive a minute after its return


@dataclass(frozen=True)
class Look:
    """One look at one source, as it ended."""

    source: str
    started_at: datetime
    ended_at: datetime
    woken: bool
    result: WatchResult | None
    defect: BaseException | None = None
    """What ended the look without a result: the history away, or a defect."""


@dataclass
class _Followed:
    """A source, its mirrors, and whether somebody says that it moved."""

    group: tuple[MirrorSettings, ...]
    every: float
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    wait: float = 0.0  # seconds until the next look

    def looked(self, look: Look) -> None:
        """Take up the pace again after a look that could read the source, else slow down."""
        if look.result is not None and look.result.error is None:
            self.wait = self.every
            return
        away = look.result is None or (look.result.error and look.result.error.reason.is_away)
        longest = max(self.every, _LONGEST_AWAY if away else _LONGEST)
        self.wait = min(2 * max(self.wait, self.every), longest)


class LiveWatch:
    """Follows the sources of some mirrors until it is cancelled."""

    def __init__(
        self,
        groups: Sequence[tuple[MirrorSettings, ...]],
        look: Callable[[tuple[MirrorSettings, ...]], Awaitable[WatchResult]],
        syncs: SyncStarter,
        ended: Callable[[Look], Awaitable[None]],
        clock: Clock | None = None,
    ) -> None:
        """`groups` are mirrors of one source each; `ended` receives every look."""
        self._look = look
        self._syncs = syncs
        self._ended = ended
        self._clock = clock or Clock()
        self._followed = {
            group[0].source: _Followed(
                group, min(mirror.looks_every.total_seconds() for mirror in group)
            )
            for group in groups
        }
        self._budgets: dict[str, RequestBudget] = {}

    def wake(self, source: str) -> bool:
        """Look at a source now, or once more after the look in progress; False if not watched."""
        followed = self._followed.get(source)
        if followed is None:
            return False
        followed.woken.set()
        return True

    async def run(self) -> None:
        """Follow every source. Returns only by being cancelled."""
        self._syncs.on_repeat = self.wake
        async with asyncio.TaskGroup() as group:
            for source, followed in self._followed.items():
                group.create_task(self._follow(source, followed))
            await asyncio.Event().wait()

    async def _follow(self, source: str, followed: _Followed) -> None:
        budget = self._budget(source)
        woken = False
        while True:
            if not woken:
                await budget.wait()
            followed.woken.clear()
            look = await self._one_look(source, followed, woken)
            if look.result is not None:
                budget.spend(look.result.requests)
            followed.looked(look)
            await self._ended(look)
            for name in look.result.moved if look.result else ():
                self._syncs.start(name, source, at_once=woken)
            await self._clock.sleep(_GAP)
            woken = await self._woken_within(followed, followed.wait - _GAP)

    async def _one_look(self, source: str, followed: _Followed, woken: bool) -> Look:
        started = utcnow()
        (result,) = await asyncio.gather(self._look(followed.group), return_exceptions=True)
        if isinstance(result, WatchResult):
            return Look(source, started, utcnow(), woken, result)
        return Look(source, started, utcnow(), woken, None, result)

    async def _woken_within(self, followed: _Followed, seconds: float) -> bool:
        """Wait so long, or until the source is woken; whether it was."""
        waiting = asyncio.ensure_future(followed.woken.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(max(seconds, 0.0)))
        try:
            await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            return followed.woken.is_set()
        finally:
            waiting.cancel()
            sleeping.cancel()
            await asyncio.gather(waiting, sleeping, return_exceptions=True)

    def _budget(self, source: str) -> RequestBudget:
        registry = Reference.parse(source).registry
        if registry not in self._budgets:
            self._budgets[registry] = RequestBudget(requests_a_minute(registry), self._clock)
        return self._budgets[registry]
