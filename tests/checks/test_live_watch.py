"""The watch that stays: its pace, its budget of requests, what wakes it, and what it survives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from mirror.checks import LiveWatch, Look, SyncEnd, SyncStarter, WatchResult
from mirror.config import MirrorSettings
from mirror.outcome import Reason, RunOutcome, RunStatus, TagFailure, TagTally
from tests.support.virtual_time import VirtualTime, settle

HUB = "docker.io/team/app"
OTHER = "127.0.0.1:5000/team/app"


def mirror(name: str, source: str, **options: str) -> MirrorSettings:
    """A mirror of mirrors.yaml."""
    target = f"127.0.0.1:5001/copy/{name}"
    return MirrorSettings.model_validate(
        {"name": name, "source": source, "target": target, **options}
    )


def synced(
    name: str,
    status: RunStatus = RunStatus.SUCCEEDED,
    changed: int = 1,
    reason: Reason = Reason.NETWORK,
) -> RunOutcome:
    """How a sync ended."""
    errors = (TagFailure(None, reason, "failed"),) if status is RunStatus.FAILED else ()
    return RunOutcome(name, "run", status, tags=TagTally(changed=changed), errors=errors)


@dataclass
class Watched:
    """A running watch with looks and syncs that the test decides."""

    time: VirtualTime
    requests: int = 1
    moved: tuple[str, ...] = ()
    error: TagFailure | None = None
    defect: Exception | None = None
    outcome: RunOutcome | Exception | None = None
    hold_syncs: asyncio.Event | None = None
    looks: list[tuple[float, str]] = field(default_factory=list)
    syncs: list[tuple[float, str]] = field(default_factory=list)
    ended: list[Look] = field(default_factory=list)
    sync_ends: list[SyncEnd] = field(default_factory=list)

    async def look(self, group: tuple[MirrorSettings, ...]) -> WatchResult:
        """One look."""
        self.looks.append((self.time.now, group[0].source))
        if self.defect is not None:
            raise self.defect
        names = tuple(one.name for one in group)
        moved = tuple(name for name in names if name in self.moved)
        return WatchResult(group[0].source, names, moved, self.requests, self.error)

    async def sync(self, name: str) -> RunOutcome | None:
        """One sync."""
        self.syncs.append((self.time.now, name))
        if self.hold_syncs is not None:
            await self.hold_syncs.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def look_ended(self, look: Look) -> None:
        """Keep it."""
        self.ended.append(look)

    async def sync_ended(self, end: SyncEnd) -> None:
        """Keep it."""
        self.sync_ends.append(end)


@asynccontextmanager
async def watching(watched: Watched, *mirrors: MirrorSettings) -> AsyncIterator[LiveWatch]:
    """The watch, running."""
    clock = watched.time.clock
    starter = SyncStarter(watched.sync, watched.sync_ended, clock)
    groups = [(one,) for one in mirrors]
    watch = LiveWatch(groups, watched.look, starter, watched.look_ended, clock)
    running = asyncio.create_task(watch.run())
    try:
        await settle()
        yield watch
        assert not running.done(), "the watch ended"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await starter.stop(0)


async def test_a_source_is_looked_at_at_once_and_then_every_fifteen_seconds() -> None:
    watched = Watched(VirtualTime())
    async with watching(watched, mirror("m", HUB)):
        await watched.time.pass_until(46)
    assert [at for at, _ in watched.looks] == [0, 15, 30, 45]


async def test_a_pace_that_mirrors_yaml_names_is_kept() -> None:
    watched = Watched(VirtualTime())
    async with watching(watched, mirror("m", HUB, watch_every="2m")):
        await watched.time.pass_until(241)
    assert [at for at, _ in watched.looks] == [0, 120, 240]


@pytest.mark.parametrize(("source", "a_minute"), [(HUB, 60), (OTHER, 240)])
async def test_looks_at_all_sources_of_a_registry_share_its_budget(
    source: str, a_minute: int
) -> None:
    watched = Watched(VirtualTime(), requests=10)
    mirrors = [mirror(f"m{number}", f"{source}{number}") for number in range(40)]
    async with watching(watched, *mirrors):
        await watched.time.pass_until(3600)
    cost = len(watched.looks) * 10
    assert cost <= 61 * a_minute + 10 * len(mirrors)
    assert cost >= 55 * a_minute, "the budget is used"
    per_source = [sum(name == one.source for _, name in watched.looks) for one in mirrors]
    assert max(per_source) - min(per_source) <= 2, "none is forgotten"


async def test_a_source_that_is_woken_is_looked_at_at_once_whatever_the_budget() -> None:
    watched = Watched(VirtualTime(), requests=1000)
    async with watching(watched, mirror("m", HUB)) as watch:
        await watched.time.pass_until(5)
        assert watch.wake(HUB)
        await watched.time.pass_until(6)
        assert not watch.wake("docker.io/team/unknown")
    assert [at for at, _ in watched.looks] == [0, 5]
    assert [look.woken for look in watched.ended] == [False, True]


async def test_a_burst_of_events_costs_few_looks_and_the_last_one_is_not_missed() -> None:
    watched = Watched(VirtualTime())
    async with watching(watched, mirror("m", HUB)) as watch:
        for tenth in range(50, 80):
            await watched.time.pass_until(tenth / 10)
            watch.wake(HUB)
        await watched.time.pass_until(10)
    looks = [at for at, _ in watched.looks]
    assert len(looks) <= 6
    assert looks[-1] >= 7.9, "after the last event"


async def test_a_mirror_whose_source_moved_is_synced_once_and_again_where_it_moves_meanwhile() -> (
    None
):
    watched = Watched(VirtualTime(), moved=("m",), outcome=synced("m"), hold_syncs=asyncio.Event())
    assert watched.hold_syncs is not None
    async with watching(watched, mirror("m", HUB)):
        await watched.time.pass_until(20)
        assert watched.syncs == [(0, "m")]
        watched.hold_syncs.set()
        await watched.time.pass_until(20.5)
        assert watched.looks[-1] == (20, HUB), "at once, not at the next turn"
        assert watched.syncs == [(0, "m"), (20, "m")]


@pytest.mark.parametrize(
    ("outcome", "longest"),
    [
        (synced("m", changed=0), 300),
        (synced("m", RunStatus.FAILED, reason=Reason.AUTH), 300),
        (synced("m", RunStatus.FAILED, reason=Reason.NETWORK), 30),  # back within a minute
        (RuntimeError("Prefect is away"), 30),
    ],
    ids=["nothing to do", "refused", "away", "defect"],
)
async def test_a_sync_that_does_not_get_on_is_repeated_ever_later(
    outcome: RunOutcome | Exception, longest: float
) -> None:
    watched = Watched(VirtualTime(), moved=("m",), outcome=outcome)
    async with watching(watched, mirror("m", HUB)):
        await watched.time.pass_until(3600)
    gaps = [b - a for (a, _), (b, _) in zip(watched.syncs, watched.syncs[1:], strict=False)]
    assert gaps[:2] == [15, 30]  # a multiple of the pace of looks
    assert max(gaps) == longest
    assert len(watched.sync_ends) == len(watched.syncs)


async def test_a_target_that_another_run_works_on_is_tried_again_soon_and_not_reported() -> None:
    watched = Watched(VirtualTime(), moved=("m",), outcome=None)
    async with watching(watched, mirror("m", HUB)):
        await watched.time.pass_until(31)
    assert [at for at, _ in watched.syncs] == [0, 15, 30]
    assert watched.sync_ends == []


async def test_a_source_that_refuses_is_looked_at_ever_later_until_it_can_be_read() -> None:
    watched = Watched(VirtualTime(), error=TagFailure(None, Reason.AUTH, "refused"))
    async with watching(watched, mirror("m", HUB)):
        await watched.time.pass_until(1000)
        watched.error = None
        looks = len(watched.looks)
        await watched.time.pass_until(1400)
    at = [at for at, _ in watched.looks]
    assert at[:4] == [0, 30, 90, 210]
    assert looks <= 7
    assert at[-1] - at[-2] == 15


@pytest.mark.parametrize(("every", "longest"), [(None, 40), ("2m", 120)])
async def test_a_source_that_is_away_for_hours_is_seen_soon_after_its_return(
    every: str | None, longest: float
) -> None:
    error = TagFailure(None, Reason.NETWORK, "away")
    watched = Watched(VirtualTime(), error=error)
    watches = {"watch_every": every} if every else {}
    async with watching(watched, mirror("m", HUB, **watches)):
        await watched.time.pass_until(2 * 3600)
        watched.error = None
        last = watched.looks[-1][0]
        await watched.time.pass_until(last + 500)
    at = [at for at, _ in watched.looks]
    assert max(b - a for a, b in pairwise(at)) == longest
    assert at[-1] - at[-2] == (120 if every else 15), "its pace again"


async def test_a_source_that_never_answers_does_not_end_the_watch() -> None:
    # 2.0**1024 is no float: doubled without a bound, the wait ended the watch after three days.
    watched = Watched(VirtualTime(), error=TagFailure(None, Reason.AUTH, "refused"))
    async with watching(watched, mirror("m", HUB)):
        await watched.time.pass_until(1100 * 300)
    assert len(watched.looks) > 1024


async def test_a_defect_in_a_look_does_not_end_the_watch() -> None:
    watched = Watched(VirtualTime(), defect=ZeroDivisionError("by zero"))
    async with watching(watched, mirror("m", HUB), mirror("n", OTHER)):
        await watched.time.pass_until(5)
        watched.defect = None
        await watched.time.pass_until(100)
    assert isinstance(watched.ended[0].defect, ZeroDivisionError)
    assert {look.source for look in watched.ended if look.result} == {HUB, OTHER}


async def test_running_syncs_are_given_time_to_end_and_then_cancelled() -> None:
    ended = asyncio.Event()

    async def sync(name: str) -> RunOutcome | None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return None

    async def nobody(end: SyncEnd) -> None:
        raise AssertionError(end)

    starter = SyncStarter(sync, nobody)
    starter.start("m", HUB)
    await settle()
    async with asyncio.timeout(60):
        await starter.stop(0.01)
    assert ended.is_set()
