"""The main job: `sync(mirror)` brings one mirror into line with its source and records it.

Four tasks a run: discover, diff, one copy for each changed tag, verify. Every outcome is committed
to the record as it happens; a tag is recorded as available only once it was verified.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run as current_flow_run
from prefect.states import Cancelled, Completed

from flows.orchestration import OutcomeError, alert, load_secret, publish_run, report_progress
from mirror.config import MirrorSettings, Settings, load_settings, require
from mirror.errors import ConfigError
from mirror.history import Record, RetryRule, TargetLocked, database_url, mirror_row, prepare
from mirror.outcome import (
    Change,
    CopyOutcome,
    Reason,
    RunOutcome,
    RunStatus,
    TagFailure,
    TagStatus,
    Trigger,
    utcnow,
)
from mirror.registry import RegistryError
from mirror.sync import (
    METER,
    Ahead,
    Landings,
    Look,
    Meter,
    Sides,
    SyncRun,
    TagRemover,
    adopt,
    begin,
    bring,
    budget_of,
    diff,
    discover,
    learn_source,
    make_copier,
    mark_late_referrers,
    open_sides,
    put_off,
    quota_of,
    remember,
    tag_rules_of,
    verify_task,
    warn_if_closed,
)


@flow(
    name="sync",
    flow_run_name="sync {mirror}",
    retries=3,
    retry_delay_seconds=300,
    persist_result=False,
    on_completion=[alert],
    on_failure=[alert],
    on_crashed=[alert],
)
async def sync(
    mirror: str, full: bool = True, dry_run: bool = False, trigger: str = Trigger.SCHEDULE.value
) -> State[RunOutcome]:
    """Bring one mirror of mirrors.yaml into line with its source.

    `full` compares both sides instead of trusting the record; `dry_run` only tells what would be
    done. The state's data is the RunOutcome. A run in which some tags failed is Completed with the
    name Partial: those tags are tried again by later runs, at a pace that the record keeps.

    Raises OutcomeError, which carries the outcome, for a run that failed as a whole: Prefect
    retries a flow that raises, and leaves one that returns a Failed state waiting for a retry that
    never comes.
    """
    outcome, copied = await run_sync(mirror, full=full, dry_run=dry_run, trigger=Trigger(trigger))
    log = get_run_logger()
    for failure in outcome.errors:
        log.error("%s: %s", failure.tag or outcome.mirror, failure.message)
    for warning in outcome.warnings:
        log.warning("%s", warning)
    await publish_run(outcome, copied)
    return _state(outcome)


def _state(outcome: RunOutcome) -> State[RunOutcome]:
    done = f"{outcome.tags.copied} of {outcome.tags.changed} changed tags copied"
    if outcome.status is RunStatus.SUCCEEDED:
        return Completed(message=done, data=outcome)
    if outcome.status is RunStatus.PARTIAL:
        return Completed(name="Partial", message=done, data=outcome)
    first = outcome.errors[0]
    if first.reason is Reason.LOCK:  # somebody else is at it: nothing to retry
        return Cancelled(message=first.message, data=OutcomeError(first.message, outcome))
    raise OutcomeError(first.message, outcome)


async def run_sync(
    name: str,
    *,
    full: bool,
    dry_run: bool = False,
    trigger: Trigger = Trigger.SCHEDULE,
) -> tuple[RunOutcome, list[CopyOutcome]]:
    """The work of the flow, for a mirror by name. Must be called within a flow run.

    Raises ConfigError for an unknown mirror and DatabaseError when the record cannot be reached.
    """
    started = time.perf_counter()
    settings = load_settings()
    mirror = settings.mirror(name)
    async with (
        open_sides(settings, mirror) as sides,
        _ahead(settings, mirror, sides, full) as ahead,
    ):
        url = await asyncio.to_thread(database_url)
        await asyncio.to_thread(prepare, url)
        async with Record.open(url) as record:
            known = await record.ensure_mirror(mirror_row(mirror))
            if ahead and not known:
                ahead.look_at_all(sides.target)
            try:
                async with record.target_lock(mirror.target) as lock:
                    run = SyncRun(
                        mirror,
                        record,
                        await record.begin_run(name, trigger, full, dry_run, _flow_run_id()),
                        sides,
                        full=full,
                        dry_run=dry_run,
                        retry_now=trigger is Trigger.MANUAL,
                        meter=METER.get() or Meter(),
                        started=started,
                        ahead=ahead,
                    )
                    try:
                        return await lock.hold(_run_locked(settings, run))
                    finally:
                        await run.stop_progress()
            except TargetLocked as locked:
                run_id = await record.begin_run(name, trigger, full, dry_run, _flow_run_id())
                outcome = RunOutcome(
                    mirror=name,
                    run_id=run_id,
                    status=RunStatus.FAILED,
                    errors=(TagFailure(None, Reason.LOCK, str(locked)),),
                    dry_run=dry_run,
                )
                await record.end_run(outcome)
                return outcome, []


@asynccontextmanager
async def _ahead(
    settings: Settings, mirror: MirrorSettings, sides: Sides, full: bool
) -> AsyncIterator[Ahead | None]:
    """The source's list on its way; None where its credential is missing, which the run tells."""
    try:
        await asyncio.to_thread(require, settings, mirror.source, load_secret)
    except ConfigError:
        yield None
        return
    async with Ahead(sides.source, sides.hub, full=full) as ahead:
        yield ahead


async def _run_locked(settings: Settings, run: SyncRun) -> tuple[RunOutcome, list[CopyOutcome]]:
    mirror, record = run.mirror, run.record
    abandoned = await record.close_abandoned(mirror.name, run.run_id)
    try:
        for side in (mirror.source, mirror.target):
            await asyncio.to_thread(require, settings, side, load_secret)
        await _work(run, settings, look_first=bool(abandoned))
    except RegistryError as error:
        run.failures.append(TagFailure(None, Reason(error.reason), str(error)))
    except ConfigError as error:  # a credential that mirrors.yaml names and nobody set
        run.failures.append(TagFailure(None, Reason.AUTH, str(error)))
        await record.end_run(run.outcome())
        raise
    except Exception as error:
        # The run ends here; the record must say so before the error goes on to Prefect.
        run.failures.append(
            TagFailure(None, Reason.INTERNAL, f"{type(error).__name__} in sync {mirror.name}")
        )
        await record.end_run(run.outcome())
        raise
    if quota := quota_of(run):
        await record.add_quota(quota)
    outcome = run.outcome()
    await record.end_run(outcome)
    return outcome, run.copied


async def _work(run: SyncRun, settings: Settings, *, look_first: bool) -> None:
    run.known = await run.record.known_tags(run.mirror.name)
    async with run.start:
        await discover_task(run)
        await mark_late_referrers(run)
        await diff_task(run)
        if run.dry_run:
            return
        budget = budget_of(run)
        begin(run, budget.affordable)
        await run.record.discovered(run.run_id, run.mirror.name, run.discovery, run.plan)
        await _record_held(run)
        if not (run.plan.changes or run.plan.adopted or run.plan.deletions):
            return
        await put_off(run, budget)
        run.copier = await make_copier(run, look_first=look_first)
        await _bring_all(run, settings, budget.affordable)
    await _delete_gone(run)
    await remember(run)
    await learn_source(run)
    await warn_if_closed(run)


async def _bring_all(run: SyncRun, settings: Settings, changes: tuple[Change, ...]) -> None:
    retry = RetryRule(settings.retry.times, settings.retry.wait, settings.retry.then_every)
    run.meter.tags += len(changes)
    run.progress = asyncio.create_task(report_progress(run.mirror.name, run.meter))
    verifying = asyncio.create_task(verify_task(run))
    landings = Landings(changes)
    work = [adopt(run, change, retry) for change in run.plan.adopted]
    work += [bring(run, change, retry, landings) for change in changes]
    try:
        with run.timed("copy"):
            await asyncio.gather(*work)
    finally:
        run.verification.close()
        await verifying


@task(name="discover", task_run_name="discover", cache_policy=NO_CACHE, persist_result=False)
async def discover_task(run: SyncRun) -> int:
    """What the source holds, and for a full sync the target; the number of tags seen."""
    with run.timed("discover", since=run.ahead.began if run.ahead else None):
        run.discovery = await discover(
            Look(
                source=run.sides.source,
                target=run.sides.target,
                rules=tag_rules_of(run.mirror),
                known=run.known,
                full=run.full,
                hub=run.sides.hub,
                start=None if run.dry_run else run.start,
            ),
            run.ahead,
        )
    run.failures += run.discovery.failed
    return len(run.discovery.tags)


@task(name="diff", task_run_name="diff", cache_policy=NO_CACHE, persist_result=False)
async def diff_task(run: SyncRun) -> int:
    """What has to be done; the number of changed tags."""
    with run.timed("diff"):
        run.plan = diff(
            run.discovery, run.known, tag_rules_of(run.mirror), utcnow(), retry_now=run.retry_now
        )
    return len(run.plan.changes)


async def _record_held(run: SyncRun) -> None:
    for change in run.plan.held:
        message = (
            f"{change.tag} is immutable and moved at the source to {change.digest}: not overwritten"
        )
        run.warnings.append(message)
        await run.record.tag_skipped(run.run_id, run.mirror.name, change, TagStatus.HELD, message)


async def _delete_gone(run: SyncRun) -> None:
    rules = tag_rules_of(run.mirror)
    held = {rules.target_name(tag.name): tag.target_digest for tag in run.known.values()}
    remover = TagRemover(
        run.sides.target, [change.target_tag for change in run.plan.deletions], held
    )
    for change in run.plan.deletions:
        if reason := await remover.remove(change.target_tag):
            run.warnings.append(f"{change.tag} is gone at the source and was not deleted: {reason}")
            continue
        await run.record.tag_skipped(
            run.run_id, run.mirror.name, change, TagStatus.DELETED, "gone at the source"
        )


def _flow_run_id() -> str | None:
    return current_flow_run.get_id()
