"""The recorder in memory follows the rules of the real one.

Every call of a series of syncs goes to both, on one clock, and both give the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.local.sample_registry.images import attested, single
from mirror.config.models import TagPolicy
from mirror.history import MirrorRow, PostgresRecorder
from mirror.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    Discovery,
    Dropped,
    DropReason,
    KnownTag,
    PlacedBlob,
    Plan,
    Quota,
    Reason,
    RetryRule,
    RunOutcome,
    SourceTag,
    TagFailure,
    TagStatus,
    Trigger,
    Verification,
)
from mirror.sync.recorder import Learnt
from mirror.sync.run import run
from tests.support.clock import clock_set_to
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.memory_recorder import MemoryRecorder
from tests.sync.core import NAME, SOURCE, TARGET, CoreSync, Synced, endpoint_of, seed
from tests.sync.parts import digest

ELSEWHERE = "hagicode/elsewhere"
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@dataclass
class Clock:
    """The one clock of both; it stands still within a sync."""

    now: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Both:
    """A recorder that writes to both and requires that both answer alike."""

    memory: MemoryRecorder
    real: PostgresRecorder
    runs: dict[str, str] = field(default_factory=dict)
    """Ids of runs in memory, by those of the real recorder."""

    async def begin_run(
        self,
        mirror: str,
        trigger: Trigger,
        full: bool,
        dry_run: bool = False,
        flow_run_id: str | None = None,
    ) -> str:
        run = await self.real.begin_run(mirror, trigger, full, dry_run, flow_run_id)
        self.runs[run] = await self.memory.begin_run(mirror, trigger, full, dry_run, flow_run_id)
        return run

    async def check_lock(self, target: str) -> None:
        await self.real.check_lock(target)

    async def close_abandoned(self, mirror: str, except_run: str | None) -> tuple[str, ...]:
        closed = await self.real.close_abandoned(mirror, except_run)
        other = self.runs[except_run] if except_run else None
        in_memory = await self.memory.close_abandoned(mirror, other)
        assert in_memory == tuple(self.runs[run] for run in closed)
        return closed

    async def known_tags(self, mirror: str) -> dict[str, KnownTag]:
        known = await self.real.known_tags(mirror)
        assert await self.memory.known_tags(mirror) == known
        return known

    async def discovered(self, run_id: str, mirror: str, discovery: Discovery, plan: Plan) -> None:
        await self.real.discovered(run_id, mirror, discovery, plan)
        await self.memory.discovered(self.runs[run_id], mirror, discovery, plan)

    async def tag_started(self, run_id: str, mirror: str, change: Change, at: datetime) -> None:
        await self.real.tag_started(run_id, mirror, change, at)
        await self.memory.tag_started(self.runs[run_id], mirror, change, at)

    async def tag_ended(
        self,
        run_id: str,
        mirror: str,
        outcome: CopyOutcome,
        verification: Verification | None,
        retry: RetryRule | None = None,
        repository: tuple[str, str] | None = None,
    ) -> None:
        await self.real.tag_ended(run_id, mirror, outcome, verification, retry, repository)
        await self.memory.tag_ended(
            self.runs[run_id], mirror, outcome, verification, retry, repository
        )

    async def tag_skipped(
        self,
        run_id: str,
        mirror: str,
        change: Change,
        status: TagStatus,
        message: str,
        *,
        retry_at: datetime | None = None,
    ) -> None:
        skipped = (mirror, change, status, message)
        await self.real.tag_skipped(run_id, *skipped, retry_at=retry_at)
        await self.memory.tag_skipped(self.runs[run_id], *skipped, retry_at=retry_at)

    async def end_run(self, outcome: RunOutcome) -> None:
        await self.real.end_run(outcome)
        await self.memory.end_run(replace(outcome, run_id=self.runs[outcome.run_id]))

    async def holdings(
        self, registry: str, repository: str, most: int | None = None
    ) -> set[str] | None:
        held = await self.real.holdings(registry, repository, most)
        assert await self.memory.holdings(registry, repository, most) == held
        return held

    async def holds_elsewhere(self, registry: str, repository: str) -> bool:
        elsewhere = await self.real.holds_elsewhere(registry, repository)
        assert await self.memory.holds_elsewhere(registry, repository) is elsewhere
        return elsewhere

    async def holders(
        self, registry: str, digests: Iterable[str], own: str | None = None
    ) -> dict[str, str]:
        wanted = list(digests)
        holders = await self.real.holders(registry, wanted, own)
        assert await self.memory.holders(registry, wanted, own) == holders
        return holders

    async def dropped_digests(self, mirror: str) -> frozenset[str]:
        dropped = await self.real.dropped_digests(mirror)
        assert await self.memory.dropped_digests(mirror) == dropped
        return dropped

    async def learnt(self, places: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Learnt]:
        wanted = list(places)
        seen = await self.real.learnt(wanted)
        assert await self.memory.learnt(wanted) == seen
        return seen

    async def abilities(self, registry: str, repository: str) -> Mapping[str, Any]:
        seen = await self.real.abilities(registry, repository)
        assert await self.memory.abilities(registry, repository) == seen
        return seen

    async def save_abilities(
        self,
        registry: str,
        repository: str,
        abilities: Mapping[str, str | int | bool],
        refusals: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        await self.real.save_abilities(registry, repository, abilities, refusals)
        await self.memory.save_abilities(registry, repository, abilities, refusals)

    async def add_quota(self, quota: Quota) -> None:
        await self.real.add_quota(quota)
        await self.memory.add_quota(quota)


@pytest.fixture
async def both(url: str) -> AsyncIterator[Both]:
    """Both recorders, empty, on one clock."""
    async with PostgresRecorder.open(url) as real:
        yield Both(MemoryRecorder(), real)


@dataclass
class Series:
    """A mirror and the syncs that both recorders saw of it."""

    clock: Clock
    recorder: Both
    source: FakeRegistry
    target: FakeRegistry
    core: CoreSync

    async def sync(self, *, after: timedelta = MINUTE, dry_run: bool = False) -> Synced:
        """A full sync, a while after the last; both recorders then have the same."""
        self.clock.now += after
        synced = await self.core.sync(dry_run=dry_run, recorder=self.recorder)
        await self.compare()
        return synced

    async def compare(self) -> dict[str, KnownTag]:
        """Read everything back from both."""
        held = await self.recorder.holdings(self.target.host, TARGET) or set()
        held |= await self.recorder.holdings(self.target.host, ELSEWHERE) or set()
        await self.recorder.holders(self.target.host, held)
        for name in (TARGET, ELSEWHERE, "hagicode/unknown"):
            await self.recorder.holds_elsewhere(self.target.host, name)
            await self.recorder.abilities(self.target.host, name)
        await self.recorder.abilities(self.source.host, SOURCE)
        await self.recorder.dropped_digests(self.core.name)
        return await self.recorder.known_tags(self.core.name)

    def put(self, tag: str, name: str) -> str:
        """Point a tag of the source at an image; its digest."""
        return seed(self.source.store, SOURCE, tag, single(f"recorders/{name}"))


@asynccontextmanager
async def series(both: Both, behaviour: Behaviour | None = None) -> AsyncIterator[Series]:
    """A mirror that deletes what is gone for a day."""
    clock = Clock()
    with clock_set_to(clock):
        async with FakeRegistry() as source, FakeRegistry(behaviour) as target:
            tags = TagPolicy(delete_after=DAY, delete_share=1)
            core = CoreSync(
                endpoint_of(source), endpoint_of(target), tags=tags, recorder=both.memory
            )
            await mirror_row(both, core)
            yield Series(clock, both, source, target, core)


async def mirror_row(both: Both, core: CoreSync) -> None:
    """Make a mirror known to the real recorder, as a flow does before its first sync."""
    await both.real.ensure_mirror(
        MirrorRow(
            name=core.name,
            source=core.mirror.source,
            target=core.mirror.target,
            every=30 * MINUTE,
            watch_every=2 * MINUTE,
            delay_goal=30 * MINUTE,
        )
    )


async def test_new_and_moved_tags(both: Both) -> None:
    async with series(both) as mirror:
        first = mirror.put("1.0", "one")
        mirror.put("2.0", "two")
        assert len((await mirror.sync()).arrived) == 2
        moved = mirror.put("1.0", "one, moved")
        assert (await mirror.sync()).changed == {"1.0": ChangeKind.MOVED}
        known = await mirror.compare()
        assert known["1.0"].copied_digest == moved != first
        assert not (await mirror.sync()).changed


async def test_a_tag_that_fails_again_and_again_and_then_arrives(both: Both) -> None:
    async with series(both) as mirror:
        mirror.put("1.0", "failing")
        fault = Rule("PUT .*/manifests/1.0", Respond(403, "DENIED"), times=None)
        mirror.target.faults.add(fault)
        waits = []
        for attempt in range(1, 6):
            await mirror.sync()
            state = (await mirror.compare())["1.0"]
            assert state.attempts == attempt
            assert state.next_attempt_at is not None
            waits.append(state.next_attempt_at - mirror.clock.now)
        assert waits == [RetryRule().wait] * 3 + [RetryRule().then_every] * 2
        mirror.put("1.0", "failing, moved")
        await mirror.sync()
        assert (await mirror.compare())["1.0"].attempts == 1, "it moved"
        mirror.target.faults.clear()
        assert (await mirror.sync()).arrived == ("1.0",)


async def test_a_tag_that_is_not_as_it_should_be_once_it_is_copied(both: Both) -> None:
    async with series(both) as mirror:
        mirror.put("1.0", "unseen")
        fault = Rule("GET .*/manifests/1.0", Respond(404, "MANIFEST_UNKNOWN"), times=None)
        mirror.target.faults.add(fault)
        assert set((await mirror.sync()).failures) == {"1.0"}
        assert await both.holdings(mirror.target.host, TARGET) == set(), "all are doubted"
        mirror.target.faults.clear()
        await mirror.sync()
        assert (await mirror.compare())["1.0"].copied_digest is not None


async def test_a_tag_that_the_target_has_already(both: Both) -> None:
    async with series(both) as mirror:
        held = mirror.put("1.0", "adopted")
        mirror.put("2.0", "copied")
        seed(mirror.target.store, TARGET, "1.0", single("recorders/adopted"))
        synced = await mirror.sync()
        assert [change.tag for change in synced.plan.adopted] == ["1.0"]
        assert (await mirror.compare())["1.0"].target_digest == held
        mirror.put("1.0", "adopted, moved")
        seed(mirror.target.store, TARGET, "1.0", single("recorders/adopted, moved"))
        assert [change.tag for change in (await mirror.sync()).plan.adopted] == ["1.0"]


async def test_an_adopted_tag_of_which_a_part_is_missing(both: Both) -> None:
    async with series(both) as mirror:
        mirror.put("1.0", "half")
        seed(mirror.target.store, TARGET, "1.0", single("recorders/half"))
        mirror.target.store.repository(TARGET).blobs.clear()
        assert set((await mirror.sync()).failures) == {"1.0"}
        assert (await mirror.compare())["1.0"].suspect is ChangeKind.MISSING
        assert (await mirror.sync()).arrived == ("1.0",)
        assert mirror.target.store.repository(TARGET).blobs


async def test_a_tag_that_goes_and_comes_back_and_goes_for_good(both: Both) -> None:
    async with series(both) as mirror:
        mirror.put("staying", "staying")
        mirror.put("1.0", "going")
        await mirror.sync()
        tags = mirror.source.store.repository(SOURCE)
        tags.delete_tag("1.0")
        assert (await mirror.sync()).plan.gone == ("1.0",)
        gone = (await mirror.compare())["1.0"].gone_at
        assert gone == mirror.clock.now
        await mirror.sync()
        assert (await mirror.compare())["1.0"].gone_at == gone, "since it was first missed"
        mirror.put("1.0", "going")
        await mirror.sync()
        assert (await mirror.compare())["1.0"].gone_at is None
        tags.delete_tag("1.0")
        await mirror.sync()
        await mirror.sync(after=2 * DAY)
        assert set(await mirror.compare()) == {"staying"}
        assert set(mirror.target.store.repository(TARGET).tags) == {"staying"}


async def test_parts_that_are_left_out(both: Both) -> None:
    async with series(both, quirks.REFUSES_ATTESTATIONS) as mirror:
        image = attested("recorders/attested")
        seed(mirror.source.store, SOURCE, "1.0", image)
        await mirror.sync()
        assert await both.dropped_digests(NAME) == {one.digest for one in image.children[2:]}
        state = (await mirror.compare())["1.0"]
        assert state.target_digest != state.copied_digest == image.digest
        assert not (await mirror.sync()).changed


async def test_blobs_that_a_second_mirror_mounts(both: Both) -> None:
    async with series(both) as mirror:
        mirror.put("1.0", "mounted")
        await mirror.sync()
        mirror.core = replace(mirror.core, name="second", target_name=ELSEWHERE)
        await mirror_row(both, mirror.core)
        second = await mirror.sync()
        assert second.outcome.blobs.mounted == 3
        held = await both.holdings(mirror.target.host, TARGET)
        assert await both.holdings(mirror.target.host, ELSEWHERE) == held
        assert held
        holders = await both.holders(mirror.target.host, held)
        assert set(holders.values()) == {ELSEWHERE}, "where they were placed last"


async def test_blobs_that_the_target_has_lost(both: Both) -> None:
    async with series(both) as mirror:
        mirror.put("1.0", "lost")
        await mirror.sync()
        held = mirror.target.store.repository(TARGET)
        held.delete_manifest(held.tags["1.0"])
        held.blobs.clear()
        synced = await mirror.sync()
        assert synced.changed == {"1.0": ChangeKind.MISSING}
        assert len(synced.outcomes["1.0"].lost) == 3
        assert await both.holdings(mirror.target.host, TARGET) == held.blobs


async def test_runs_that_were_killed(both: Both) -> None:
    async with series(both) as mirror:
        mirror.put("1.0", "killed")
        for dry_run in (False, True):
            await both.begin_run(NAME, Trigger.SCHEDULE, full=True, dry_run=dry_run)
        await mirror.sync()
        assert await both.close_abandoned(NAME, None) == (), "the sync closed them"


async def test_a_dry_run(both: Both) -> None:
    async with series(both) as mirror:
        mirror.put("1.0", "dry")
        async with mirror.core.open(dry_run=True, recorder=both) as context:
            await run(context)
        assert await mirror.compare() == {}


async def test_what_was_learnt_of_a_registry_and_what_it_refused_long_ago(both: Both) -> None:
    clock = Clock()
    place = ("registry.example.com", "hagicode/app")
    with clock_set_to(clock):
        assert await both.abilities(*place) == {}
        await both.save_abilities(*place, {"mount": False, "chunk_bytes": 5, "ranges": True})
        clock.now += 20 * DAY
        await both.save_abilities(*place, {"mount": False})  # nothing new
        clock.now += 11 * DAY
        assert await both.abilities(*place) == {"ranges": True}
        await both.save_abilities(*place, {"resumable": True})
        assert await both.abilities(*place) == {"resumable": True}
        await both.save_abilities(*place, {"mount": False, "resumable": False})
        assert await both.abilities(*place) == {"mount": False, "resumable": False}


def found(*tags: SourceTag) -> Discovery:
    """A whole look at the source."""
    return Discovery(tags, complete=True, via="hub_api", listed=frozenset(tag.name for tag in tags))


async def test_push_times_that_the_web_api_gives_and_withholds(both: Both) -> None:
    async with series(both) as mirror:
        run = await both.begin_run(NAME, Trigger.WATCH, full=False)
        pushed = mirror.clock.now - DAY
        for tag in (
            SourceTag("1.0", digest(1)),
            SourceTag("1.0", digest(1), pushed),  # known later
            SourceTag("1.0", digest(1)),  # withheld
            SourceTag("1.0", digest(1), pushed + MINUTE),  # the same digest pushed again
            SourceTag("1.0", digest(2)),  # moved, unknown when
        ):
            await mirror.compare()
            await both.discovered(run, NAME, found(tag), Plan((), 0))
            mirror.clock.now += MINUTE
        assert (await mirror.compare())["1.0"].pushed_at is None
        await both.discovered(run, NAME, found(), Plan((), 0, gone=("1.0",)))
        await mirror.compare()
        await both.discovered(run, NAME, found(SourceTag("1.0", digest(2), pushed)), Plan((), 0))
        assert (await mirror.compare())["1.0"].pushed_at == pushed


async def test_tags_that_end_without_having_been_discovered(both: Both) -> None:
    async with series(both) as mirror:
        place = (mirror.target.host, TARGET)
        run = await both.begin_run(NAME, Trigger.MANUAL, full=True)
        now = mirror.clock.now
        for name, well in (("good", True), ("bad", False)):
            change = Change(name, name, ChangeKind.NEW, digest(1), now - DAY, now - MINUTE)
            failure = None if well else TagFailure(name, Reason.NETWORK, "broken")
            drop = Dropped(digest(9 if well else 8), "application/json", DropReason.PLATFORM)
            ended = CopyOutcome(
                change,
                now,
                now + MINUTE,
                target_digest=digest(2) if well else None,
                placed=(PlacedBlob(digest(3), 3), PlacedBlob(digest(4), 4)),
                lost=(digest(4), digest(5)),
                dropped=(drop,),
                failure=failure,
            )
            seen = Verification(change, now + 2 * MINUTE) if well else None
            await both.tag_ended(run, NAME, ended, seen, RetryRule(times=0), place)
        assert set(await mirror.compare()) == {"good", "bad"}
        assert await both.holdings(*place) == {digest(3), digest(4)}
        assert await both.dropped_digests(NAME) == {digest(8), digest(9)}
