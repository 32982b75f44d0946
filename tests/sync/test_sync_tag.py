"""One tag of a sync: its turn, its copy, its verification, and what is recorded of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

import pytest

from mirror.outcome import (
    Change,
    CopyOutcome,
    PlacedBlob,
    Reason,
    TagFailure,
    TagStatus,
    Verification,
)
from mirror.sync.copy_batch import batches_of
from mirror.sync.copying.copy import Copier
from mirror.sync.signatures import SignatureCheck
from mirror.sync.step import Step, StepBroken, StepTimer, call, no_log
from mirror.sync.sync_tag import TagOrder, TagWork, adopt_tag, sync_tag
from mirror.sync.verify import VerificationQueue, Verifier
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.memory_recorder import MemoryRecorder
from tests.sync.core import NAME, CoreSync, endpoint_of
from tests.sync.parts import NOON, change, digest

T = TypeVar("T")
EXACT = change("1.2.3", digest(1))
FLOATING = change("latest", digest(1), waits_for=("1.2.3",))
OTHER = change("other", digest(2))
HANG = 30  # seconds until a test that waits for ever is stopped


async def settle() -> None:
    """Let every task that can run do so until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_first_tag_leads_and_the_others_wait_until_its_copy_has_started() -> None:
    order = TagOrder((EXACT, OTHER))
    assert await order.wait_for(EXACT)
    other = asyncio.create_task(order.wait_for(OTHER))
    await settle()
    assert not other.done()
    order.start()
    assert await other


async def test_a_first_tag_that_ends_before_its_copy_starts_holds_up_nobody() -> None:
    order = TagOrder((EXACT, OTHER))
    other = asyncio.create_task(order.wait_for(OTHER))
    await settle()
    order.finish("1.2.3", arrived=False)
    assert await other


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_floating_tag_waits_until_its_exact_release_has_ended(arrived: bool) -> None:
    order = TagOrder((EXACT, FLOATING))
    order.start()
    floating = asyncio.create_task(order.wait_for(FLOATING))
    await settle()
    assert not floating.done()
    order.finish("1.2.3", arrived=arrived)
    assert await floating is arrived


async def test_all_that_a_tag_waits_for_must_arrive() -> None:
    waiting = change("latest", digest(1), waits_for=("1.2.3", "1.2.3-alpine", "not in this run"))
    order = TagOrder((EXACT, change("1.2.3-alpine", digest(1)), waiting))
    order.start()
    floating = asyncio.create_task(order.wait_for(waiting))
    order.finish("1.2.3", arrived=True)
    await settle()
    assert not floating.done()
    order.finish("1.2.3-alpine", arrived=False)
    assert not await floating


async def test_the_first_end_of_a_tag_counts() -> None:
    order = TagOrder((EXACT, FLOATING))
    order.finish("1.2.3", arrived=True)
    order.finish("1.2.3", arrived=False)
    assert await order.wait_for(FLOATING)


async def test_one_that_no_longer_waits_does_not_end_the_wait_of_others() -> None:
    order = TagOrder((EXACT, FLOATING))
    order.start()
    gone, stays = (asyncio.create_task(order.wait_for(FLOATING)) for _ in range(2))
    await settle()
    gone.cancel()
    await settle()
    order.finish("1.2.3", arrived=True)
    assert await stays


class Copying(Copier):
    """Copies nothing: each tag ends as the test says, `copied` unless it is named in `failing`."""

    def __init__(
        self, failing: frozenset[str] = frozenset(), error: Exception | None = None
    ) -> None:
        self.failing = failing
        self.error = error
        self.copied: list[str] = []
        self.running = 0
        self.most = 0

    async def copy(self, change: Change) -> CopyOutcome:
        self.copied.append(change.tag)
        self.running += 1
        self.most = max(self.most, self.running)
        await settle()  # others that may run start meanwhile
        self.running -= 1
        if self.error is not None:
            raise self.error
        if change.tag in self.failing:
            failure = TagFailure(change.tag, Reason.NETWORK, "broken")
            return CopyOutcome(change, NOON, NOON, failure=failure)
        placed = (PlacedBlob(digest(7), 100),)
        return CopyOutcome(change, NOON, NOON, target_digest=change.digest, placed=placed)


class Verifying(Verifier):
    """Sees every tag at the target, but those that are named in `missing`."""

    def __init__(self, missing: frozenset[str] = frozenset()) -> None:
        self.missing = missing
        self.verified: list[str] = []

    async def verify(self, copied: CopyOutcome) -> Verification:
        tag = copied.change.tag
        self.verified.append(tag)
        failed = TagFailure(tag, Reason.NOT_FOUND, "gone") if tag in self.missing else None
        return Verification(copied.change, NOON, failed)


@dataclass
class Recording(MemoryRecorder):
    """Keeps how tags ended."""

    outcomes: list[tuple[CopyOutcome, Verification | None]] = field(default_factory=list)
    places: list[tuple[str, str] | None] = field(default_factory=list)

    async def tag_ended(self, run_id, mirror, outcome, verification, retry=None, repository=None):  # type: ignore[no-untyped-def]
        """Keep it."""
        assert (run_id, mirror) == ("run", NAME)
        self.outcomes.append((outcome, verification))
        self.places.append(repository)
        await super().tag_ended(run_id, mirror, outcome, verification, retry, repository)


@dataclass
class Tags:
    """The tags of a run, and what it records."""

    work: TagWork
    recorder: Recording

    async def sync(self, *changes: Change) -> list[CopyOutcome | str | None]:
        """Sync the tags as a run does, all at once."""
        async with asyncio.timeout(HANG):
            return await asyncio.gather(*(sync_tag(self.work, change) for change in changes))


@asynccontextmanager
async def tags(
    *changes: Change,
    copier: Copier | None = None,
    verifier: Verifier | None = None,
    step: Step = call,
    slots: int = 64,
) -> AsyncIterator[Tags]:
    """A run that is about to copy these tags; its registries get no request."""
    recorder = Recording()
    async with FakeRegistry() as source, FakeRegistry() as target:
        core = CoreSync(endpoint_of(source), endpoint_of(target), recorder=recorder)
        async with core.open() as context:
            queue = VerificationQueue(verifier or Verifying(), StepTimer())
            running = asyncio.create_task(queue.run())
            order = TagOrder(changes)
            work = TagWork(
                context,
                "run",
                copier or Copying(),
                queue,
                SignatureCheck(context.clients.source, (), timedelta()),
                order,
                batches_of(changes or (EXACT,), step, no_log),
                asyncio.Semaphore(slots),
            )
            yield Tags(work, recorder)
            queue.close()
            await running
        assert source.exchanges == target.exchanges == []


async def test_a_tag_is_started_copied_verified_and_recorded() -> None:
    async with tags(EXACT) as run:
        (ended,) = await run.sync(EXACT)
        assert isinstance(ended, CopyOutcome)
        assert ended.failure is None
        assert run.recorder.started == ["1.2.3"]
        ((outcome, verification),) = run.recorder.outcomes
        assert outcome == ended
        assert verification == Verification(EXACT, NOON)
        assert run.recorder.places == [run.work.context.target]
        assert run.work.context.progress.tags_done == 1


async def test_a_tag_whose_copy_failed_is_recorded_and_not_verified() -> None:
    verifier = Verifying()
    async with tags(EXACT, copier=Copying(frozenset({"1.2.3"})), verifier=verifier) as run:
        (ended,) = await run.sync(EXACT)
        assert isinstance(ended, CopyOutcome)
        assert ended.failure is not None
        assert ended.failure.reason is Reason.NETWORK
        assert run.recorder.outcomes == [(ended, None)]
        assert verifier.verified == []


async def test_what_a_tag_waits_for_and_failed_leaves_it_untried_and_recorded_as_waiting() -> None:
    copier = Copying(frozenset({"1.2.3"}))
    async with tags(EXACT, FLOATING, OTHER, copier=copier) as run:
        ended = await run.sync(EXACT, FLOATING, OTHER)
        assert ended[1] == "waits for 1.2.3, which failed"
        assert run.recorder.skipped == [("latest", TagStatus.WAITING, ended[1])]
        assert set(copier.copied) == {"1.2.3", "other"}
        assert set(run.recorder.started) == {"1.2.3", "other"}
        assert run.work.context.progress.tags_done == 3


async def test_a_floating_tag_goes_after_its_exact_release_is_recorded() -> None:
    async with tags(EXACT, FLOATING) as run:
        await run.sync(FLOATING, EXACT)
        assert [outcome.change.tag for outcome, _ in run.recorder.outcomes] == ["1.2.3", "latest"]


async def test_a_tag_whose_verification_failed_fails_and_its_blobs_are_doubted() -> None:
    """Which of them the target lacks is not known one by one."""
    async with tags(EXACT, FLOATING, verifier=Verifying(frozenset({"1.2.3"}))) as run:
        run.recorder.blobs[run.work.context.target][digest(7)] = 100
        ended, waiting = await run.sync(EXACT, FLOATING)
        assert isinstance(ended, CopyOutcome)
        assert ended.failure is not None
        assert ended.failure.reason is Reason.NOT_FOUND
        ((recorded, verification),) = run.recorder.outcomes
        assert recorded.failure is None, "the copy went well"
        assert (recorded.placed, recorded.lost) == ((), (digest(7),))
        assert verification is not None
        assert verification.failure == ended.failure
        assert waiting == "waits for 1.2.3, which failed"
        assert await run.recorder.holdings(*run.work.context.target) == set()


def broken_for(tag: str) -> Step:
    """A step that breaks for one tag, as one whose task crashed does."""

    async def step(name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
        if subject == tag:
            raise StepBroken("ZeroDivisionError: division by zero")
        return await work()

    return step


async def test_a_step_that_breaks_fails_its_tag_alone() -> None:
    async with tags(EXACT, OTHER, step=broken_for("1.2.3")) as run:
        bad, good = await run.sync(EXACT, OTHER)
        assert isinstance(bad, CopyOutcome)
        assert bad.failure is not None
        assert bad.failure.reason is Reason.INTERNAL
        assert "the copy of 1.2.3 broke off: ZeroDivisionError" in bad.failure.message
        assert isinstance(good, CopyOutcome)
        assert good.failure is None
        assert {outcome.change.tag for outcome, _ in run.recorder.outcomes} == {"1.2.3", "other"}


async def test_a_defect_in_the_copy_of_a_tag_fails_it_alone_and_lets_no_tag_wait_for_ever() -> None:
    async with tags(EXACT, FLOATING, copier=Copying(error=ZeroDivisionError("by zero"))) as run:
        bad, waiting = await run.sync(EXACT, FLOATING)
        assert isinstance(bad, CopyOutcome)
        assert bad.failure is not None
        assert bad.failure.reason is Reason.INTERNAL
        assert bad.failure.message == "the copy of 1.2.3 broke off: ZeroDivisionError: by zero"
        assert waiting == "waits for 1.2.3, which failed"


async def test_a_tag_that_is_cancelled_lets_no_other_wait_for_ever() -> None:
    async with tags(EXACT, FLOATING) as run:
        exact = asyncio.create_task(sync_tag(run.work, EXACT))
        floating = asyncio.create_task(sync_tag(run.work, FLOATING))
        await asyncio.sleep(0)
        exact.cancel()
        async with asyncio.timeout(HANG):
            assert await floating == "waits for 1.2.3, which failed"


async def test_no_more_tags_than_there_are_slots_are_copied_at_once() -> None:
    changes = [change(f"1.{number}", digest(number)) for number in range(10)]
    copier = Copying()
    async with tags(*changes, copier=copier, slots=3) as run:
        await run.sync(*changes)
    assert len(copier.copied) == 10
    assert copier.most == 3


async def test_a_tag_that_the_target_has_already_is_verified_and_recorded_without_a_copy() -> None:
    copier, verifier = Copying(), Verifying()
    async with tags(copier=copier, verifier=verifier) as run:
        ended = await adopt_tag(run.work, EXACT)
        assert ended.failure is None
        assert ended.target_digest == EXACT.digest
        assert copier.copied == []
        assert verifier.verified == ["1.2.3"]
        assert run.recorder.started == ["1.2.3"]
        assert run.recorder.known[NAME]["1.2.3"].copied_digest == EXACT.digest


async def test_a_tag_that_the_target_has_only_in_part_is_not_adopted() -> None:
    async with tags(verifier=Verifying(frozenset({"1.2.3"}))) as run:
        ended = await adopt_tag(run.work, EXACT)
        assert ended.failure is not None
        state = run.recorder.known[NAME]["1.2.3"]
        assert (state.copied_digest, state.attempts) == (None, 1)


async def test_the_rule_of_the_mirror_says_when_a_failed_tag_is_tried_again() -> None:
    copier = Copying(frozenset({"1.2.3"}))
    async with tags(EXACT, copier=copier) as run:
        rule = replace(run.work.context.retry, times=0)
        work = replace(run.work, context=replace(run.work.context, retry=rule))
        await sync_tag(work, EXACT)
        state = run.recorder.known[NAME]["1.2.3"]
        assert state.next_attempt_at is not None
        assert state.next_attempt_at - NOON >= rule.then_every
