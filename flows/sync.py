"""The main job: `sync(mirror)` brings one mirror into line with its source and records it.

Four tasks a run: discover, diff, one copy for each changed tag, verify. Every outcome is committed
to the record as it happens; a tag is recorded as available only once it was verified.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run as current_flow_run
from prefect.states import Cancelled, Completed, Failed

from flows.artifacts import publish_run, report_progress
from flows.credentials import require
from flows.errors import ConfigError
from flows.history import Record, RetryRule, TargetLocked, database_url, prepare
from flows.hooks import alert
from flows.mirror_rows import mirror_row
from flows.outcome import (
    Change,
    CopyOutcome,
    Quota,
    Reason,
    RunOutcome,
    RunStatus,
    TagFailure,
    TagStatus,
    Trigger,
    Verification,
    utcnow,
)
from flows.progress import METER, Meter
from flows.referring import learn_source, mark_late_referrers
from flows.registry import Reference, RegistryError
from flows.run import SHARED_UPLOADS, SyncRun
from flows.secrets import load_secret
from flows.session import image_rules, open_sides, pace, tag_rules
from flows.settings import MirrorSettings, Settings, load_settings
from flows.states import FellShort, outcome_of
from flows.steps.blobs import BlobPlacer, Shared
from flows.steps.copy import Copier
from flows.steps.deletion import TagRemover
from flows.steps.diff import diff
from flows.steps.discover import Look, discover
from flows.steps.landings import Landings
from flows.steps.quota import spend
from flows.steps.strangers import anonymous_trouble


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

    Raises FellShort, which carries the outcome, for a run that failed as a whole: Prefect retries
    a flow that raises, and leaves one that returns a Failed state waiting for a retry that never
    comes.
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
        return Cancelled(message=first.message, data=FellShort(first.message, outcome))
    raise FellShort(first.message, outcome)


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
    settings = load_settings()
    mirror = settings.mirror(name)
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    async with Record.open(url) as record:
        await record.ensure_mirror(mirror_row(mirror))
        try:
            async with record.target_lock(mirror.target) as lock:
                return await lock.hold(
                    _run_locked(
                        settings, mirror, record, full=full, dry_run=dry_run, trigger=trigger
                    )
                )
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


async def _run_locked(
    settings: Settings,
    mirror: MirrorSettings,
    record: Record,
    *,
    full: bool,
    dry_run: bool,
    trigger: Trigger,
) -> tuple[RunOutcome, list[CopyOutcome]]:
    run_id = await record.begin_run(mirror.name, trigger, full, dry_run, _flow_run_id())
    abandoned = await record.close_abandoned(mirror.name, run_id)
    async with open_sides(settings, mirror) as sides:
        run = SyncRun(
            mirror,
            record,
            run_id,
            sides,
            full=full,
            dry_run=dry_run,
            retry_now=trigger is Trigger.MANUAL,
            meter=METER.get() or Meter(),
        )
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
        if quota := _quota(run):
            await record.add_quota(quota)
        outcome = run.outcome()
        await record.end_run(outcome)
        return outcome, run.copied


async def _work(run: SyncRun, settings: Settings, *, look_first: bool) -> None:
    run.known = await run.record.known_tags(run.mirror.name)
    await discover_task(run)
    await mark_late_referrers(run)
    await diff_task(run)
    if run.dry_run:
        return
    await run.record.discovered(run.run_id, run.mirror.name, run.discovery, run.plan)
    await _record_held(run)
    if not (run.plan.changes or run.plan.adopted or run.plan.deletions):
        return
    changes = await _within_quota(run)
    retry = RetryRule(settings.retry.times, settings.retry.wait, settings.retry.then_every)
    run.copier = await _copier(run, look_first=look_first)
    run.meter.tags += len(changes)
    progress = asyncio.create_task(report_progress(run.mirror.name, run.meter))
    verifying = asyncio.create_task(verify_task(run))
    landings = Landings(changes)
    try:
        work = [_adopt(run, change, retry) for change in run.plan.adopted]
        work += [_bring(run, change, retry, landings) for change in changes]
        with run.timed("copy"):
            await asyncio.gather(*work)
    finally:
        run.verification.close()
        await verifying
        progress.cancel()
        with suppress(asyncio.CancelledError):
            await progress
    await _delete_gone(run)
    await _learn(run)
    await learn_source(run)
    await _warn_if_closed(run)


@task(name="discover", task_run_name="discover", cache_policy=NO_CACHE, persist_result=False)
async def discover_task(run: SyncRun) -> int:
    """What the source holds, and for a full sync the target; the number of tags seen."""
    with run.timed("discover"):
        run.discovery = await discover(
            Look(
                source=run.sides.source,
                target=run.sides.target,
                rules=tag_rules(run.mirror),
                known=run.known,
                full=run.full,
                hub=run.sides.hub,
            )
        )
    run.failures += run.discovery.failed
    return len(run.discovery.tags)


@task(name="diff", task_run_name="diff", cache_policy=NO_CACHE, persist_result=False)
async def diff_task(run: SyncRun) -> int:
    """What has to be done; the number of changed tags."""
    with run.timed("diff"):
        run.plan = diff(
            run.discovery, run.known, tag_rules(run.mirror), utcnow(), retry_now=run.retry_now
        )
    return len(run.plan.changes)


@task(name="copy", task_run_name="copy {change.tag}", cache_policy=NO_CACHE, persist_result=False)
async def copy_task(run: SyncRun, change: Change) -> State[CopyOutcome]:
    """Copy one tag."""
    if run.copier is None:
        raise RuntimeError("the copier is made before the first copy")
    outcome = await run.copier.copy(change)
    if outcome.failure is not None:
        message = outcome.failure.message
        return Failed(message=message, data=FellShort(message, outcome))
    return Completed(message=f"{outcome.bytes_copied} bytes copied", data=outcome)


@task(name="verify", task_run_name="verify", cache_policy=NO_CACHE, persist_result=False)
async def verify_task(run: SyncRun) -> int:
    """Verify the tags of this run as they are copied; how many there were."""
    return await run.verification.serve()


async def _bring(run: SyncRun, change: Change, retry: RetryRule, landings: Landings) -> None:
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
        async with run.slots:
            await run.record.tag_started(run.run_id, run.mirror.name, change, utcnow())
            outcome, verification = await _copy_and_verify(run, change)
            await _record_tag(run, outcome, verification, retry)
        arrived = verification is not None and verification.failure is None
    finally:
        run.meter.tags_done += 1
        landings.ended(change.tag, arrived=arrived)


async def _copy_and_verify(run: SyncRun, change: Change) -> tuple[CopyOutcome, Verification | None]:
    started = utcnow()
    # Prefect's types lose the outcome on the way through return_state.
    state: State[Any] = await cast(Any, copy_task)(run, change, return_state=True)
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


async def _adopt(run: SyncRun, change: Change, retry: RetryRule) -> None:
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
        outcome = CopyOutcome(
            outcome.change, outcome.started_at, outcome.ended_at, blobs=outcome.blobs,
            bytes_copied=outcome.bytes_copied, failure=failure,
        )  # fmt: skip
    run.copied.append(outcome)


async def _within_quota(run: SyncRun) -> tuple[Change, ...]:
    """The changes that the source's pull quota allows now; the others are put off and told."""
    quota = _quota(run)
    budget = spend(run.plan.changes, {tag.name: tag for tag in run.discovery.tags}, quota)
    if quota is not None and budget.goes_on_at is not None:
        message = (
            f"the pull quota of {quota.registry} ({quota.remaining} of {quota.limit} left) does not"
            f" reach for it: it goes on by {budget.goes_on_at:%Y-%m-%d %H:%M} UTC;"
            " a credential for the source raises the quota"
        )
        for change in budget.put_off:
            run.failures.append(TagFailure(change.tag, Reason.QUOTA, message))
            await run.record.tag_skipped(
                run.run_id, run.mirror.name, change, TagStatus.WAITING, message
            )
    return budget.affordable


def _quota(run: SyncRun) -> Quota | None:
    registry = run.sides.source.registry
    reading = registry.quota
    if reading is None:
        return None
    return Quota(
        registry=Reference.parse(run.mirror.source).registry,
        account=reading.source,
        limit=reading.limit,
        remaining=reading.remaining,
        window_seconds=reading.window_seconds,
        read_at=reading.read_at,
    )


async def _record_held(run: SyncRun) -> None:
    for change in run.plan.held:
        message = (
            f"{change.tag} is immutable and moved at the source to {change.digest}: not overwritten"
        )
        run.warnings.append(message)
        await run.record.tag_skipped(run.run_id, run.mirror.name, change, TagStatus.HELD, message)


async def _delete_gone(run: SyncRun) -> None:
    rules = tag_rules(run.mirror)
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


async def _copier(run: SyncRun, *, look_first: bool) -> Copier:
    target = Reference.parse(run.mirror.target)
    where = (target.registry, target.repository)
    record = run.record
    holdings, abilities = await asyncio.gather(record.holdings(*where), record.abilities(*where))
    run.sides.target.registry.abilities.absorb(abilities)
    seen = run.discovery.target or {}
    placer = BlobPlacer(
        run.sides.source,
        run.sides.target,
        holdings=holdings,
        holders=lambda digests: record.holders(target.registry, digests),
        shared=_shared(target.registry),
        # An empty target has nothing worth asking for; any other may hold more than is recorded.
        look_first=look_first or bool(run.known) or any(seen.values()),
        expect=run.meter.expect,
        progress=run.meter.advance,
        pace=pace(run.mirror),
    )
    return Copier(
        run.sides.source,
        run.sides.target,
        placer,
        images=image_rules(run.mirror),
        tags=tag_rules(run.mirror),
        referrers=run.mirror.referrers,
        companions=() if tag_rules(run.mirror).admits_all else run.discovery.companions,
    )


async def _learn(run: SyncRun) -> None:
    """Remember what this run learnt of the target."""
    target = Reference.parse(run.mirror.target)
    learnt = run.sides.target.registry.abilities.export()
    await run.record.save_abilities(target.registry, target.repository, learnt)


async def _warn_if_closed(run: SyncRun) -> None:
    """Warn when what arrived is out of reach of anonymous users. Costs one HEAD, if that.

    Where the mirror itself needs no credential to push, nobody needs one to pull.
    """
    arrived = [copy.change.target_tag for copy in run.copied if copy.failure is None]
    target = run.sides.target
    if not arrived or target.registry.credential_origin(target.name) is None:
        return
    if trouble := await anonymous_trouble(run.sides.stranger, arrived[-1]):
        run.warnings.append(trouble)


def _shared(registry: str) -> Shared | None:
    uploads = SHARED_UPLOADS.get()
    return uploads[registry] if uploads is not None else None


def _flow_run_id() -> str | None:
    return current_flow_run.get_id()
