"""One tag of a sync run on its way: copied, verified, recorded as it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.orchestration import OutcomeError, outcome_of
from mirror.history import RetryRule
from mirror.outcome import (
    Change,
    CopyOutcome,
    Reason,
    TagFailure,
    TagStatus,
    Verification,
    utcnow,
)
from mirror.registry import Reference
from mirror.sync.context import SyncRun
from mirror.sync.tag_order import Landings


class TagCopy:
    """What a copy task is given.

    A plain class on purpose: Prefect looks through the fields of a dataclass, three times a task.
    """

    def __init__(self, run: SyncRun, change: Change) -> None:
        self.run = run
        self.change = change
        self.tag = change.tag


@task(name="copy", task_run_name="copy {given.tag}", cache_policy=NO_CACHE, persist_result=False)
async def copy_task(given: TagCopy) -> State[CopyOutcome]:
    """Copy one tag."""
    given.run.begun.set()
    copier = given.run.copier
    if copier is None:
        raise RuntimeError("the copier is made before the first copy")
    outcome = await copier.copy(given.change)
    if outcome.failure is not None:
        message = outcome.failure.message
        return Failed(message=message, data=OutcomeError(message, outcome))
    return Completed(message=f"{outcome.bytes_copied} bytes copied", data=outcome)


@task(name="verify", task_run_name="verify", cache_policy=NO_CACHE, persist_result=False)
async def verify_task(run: SyncRun) -> int:
    """Verify the tags of this run as they are copied; how many there were."""
    return await run.verification.serve()


async def bring(run: SyncRun, change: Change, retry: RetryRule, landings: Landings) -> None:
    """Copy, verify and record one tag; what goes wrong with it is its own failure alone."""
    arrived = False
    try:
        if not await landings.all_landed(change.waits_for):
            message = f"waits for {', '.join(change.waits_for)}, which failed"
            await run.record.tag_skipped(
                run.run_id, run.mirror.name, change, TagStatus.WAITING, message
            )
            run.warnings.append(f"{change.tag} {message}")
            return
        await run.turn()
        async with run.slots:
            await run.record.tag_started(run.run_id, run.mirror.name, change, utcnow())
            outcome, verification = await _copy_and_verify(run, change)
            await _record_tag(run, outcome, verification, retry)
        arrived = verification is not None and verification.failure is None
    finally:
        run.begun.set()
        run.meter.tags_done += 1
        landings.ended(change.tag, arrived=arrived)


async def _copy_and_verify(run: SyncRun, change: Change) -> tuple[CopyOutcome, Verification | None]:
    started = utcnow()
    # Prefect's types lose the outcome on the way through return_state.
    state: State[Any] = await cast(Any, copy_task)(TagCopy(run, change), return_state=True)
    outcome = await outcome_of(state)
    if not isinstance(outcome, CopyOutcome):
        # A defect of ours in one tag: the others go on, this one is recorded by its kind.
        message = f"copy of {change.tag} broke off: {state.message}"
        failure = TagFailure(change.tag, Reason.INTERNAL, message)
        outcome = CopyOutcome(change, started, utcnow(), failure=failure)
    if outcome.failure is not None:
        return outcome, None
    with run.timed("verify"):
        return outcome, await run.verification.verified(outcome)


async def adopt(run: SyncRun, change: Change, retry: RetryRule) -> None:
    """Record a tag that the target holds already, once it is verified like any other."""
    now = utcnow()
    async with run.slots:
        await run.record.tag_started(run.run_id, run.mirror.name, change, now)
        outcome = CopyOutcome(change, now, now, target_digest=change.digest)
        verification = await run.verification.verified(outcome)
        await _record_tag(run, outcome, verification, retry)


async def _record_tag(
    run: SyncRun, outcome: CopyOutcome, verification: Verification | None, retry: RetryRule
) -> None:
    target = Reference.parse(run.mirror.target)
    if verification is not None and verification.failure is not None:
        # What the target lacks of it is not known one by one: the next run asks for all of it.
        placed = tuple(blob.digest for blob in outcome.placed)
        outcome = replace(outcome, placed=(), lost=placed)
    await run.record.tag_ended(
        run.run_id,
        run.mirror.name,
        outcome,
        verification,
        retry,
        (target.registry, target.repository),
    )
    failure = outcome.failure or (verification.failure if verification else None)
    if failure is not None:
        run.failures.append(failure)
        outcome = replace(outcome, failure=failure)
    run.copied.append(outcome)
