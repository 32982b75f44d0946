"""One sync: discover, diff, copy, verify, record."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Final

from mirror.concurrency import AT_ONCE
from mirror.config import CosignKey, CosignKeyError
from mirror.errors import ConfigError, DatabaseError
from mirror.logs import log_fields
from mirror.outcome import (
    Change,
    CopyOutcome,
    Discovery,
    KnownTag,
    Plan,
    Reason,
    RunOutcome,
    RunStatus,
    TagFailure,
    TagStatus,
    utcnow,
)
from mirror.registry import OptionalRequest, RegistryError
from mirror.stopping import stopped_by
from mirror.sync.anonymous_pull import warn_if_private
from mirror.sync.context import SyncContext, build_copier
from mirror.sync.copy_batch import batches_of
from mirror.sync.copying import Copier
from mirror.sync.deletion import delete_gone
from mirror.sync.late_referrers import mark_late_referrers
from mirror.sync.learnt_capabilities import LearntCapabilities
from mirror.sync.results import SyncResults
from mirror.sync.signatures import SignatureCheck
from mirror.sync.step import Step, call, traced
from mirror.sync.sync_tag import TagOrder, TagWork, adopt_tag, sync_tag, tags_at_once
from mirror.sync.tags import Budget, DiscoverRequest, diff, discover, read_quota, spend
from mirror.sync.verify import VerificationQueue, Verifier
from mirror.telemetry import count, span

_STOP_SECONDS: Final = 5.0  # to record that a run is stopped


async def run(
    context: SyncContext, step: Step = call
) -> tuple[RunOutcome, tuple[CopyOutcome, ...]]:
    """Bring a mirror into line with its source and record it; the caller holds the target's lock.

    Returns the outcome of the run and of each tag that it worked on. Failures of registries are in
    the outcome. Raises ConfigError for a credential that does not exist, and DatabaseError; the
    history then says how the run ended, as far as it can be written.
    """
    run_id = await context.recorder.begin_run(
        context.mirror.name, context.trigger, context.full, context.dry_run, context.flow_run_id
    )
    name = context.mirror.name
    about = {"mirror.name": name, "mirror.run.id": run_id, "mirror.trigger": context.trigger.value}
    with log_fields(run=run_id, mirror=name), span("sync", about) as add:
        outcome, copied = await _run(context, run_id, traced(step))
        add({"mirror.run.status": outcome.status.value, "mirror.tags.copied": outcome.tags.copied})
        _count(outcome, copied)
    return outcome, copied


async def _run(
    context: SyncContext, run_id: str, step: Step
) -> tuple[RunOutcome, tuple[CopyOutcome, ...]]:
    recorder, mirror = context.recorder, context.mirror.name
    results = SyncResults(context, run_id)
    learnt = LearntCapabilities(context)
    try:
        await _sync(context, results, step, learnt)
        if breach := context.clients.budget.breach:
            results.failures.append(TagFailure(None, Reason(breach.reason), str(breach)))
    except RegistryError as error:
        results.failures.append(TagFailure(None, Reason(error.reason), str(error)))
    except ConfigError as error:
        reason = Reason.UNSIGNED if isinstance(error, CosignKeyError) else Reason.AUTH
        results.failures.append(TagFailure(None, reason, str(error)))
        await recorder.end_run(results.outcome())
        raise
    except asyncio.CancelledError:
        await _record_stop(context, results)
        raise
    except Exception as error:
        # The run ends here; the history must say so before the error reaches the caller.
        message = f"{type(error).__name__} in sync {mirror}"
        results.failures.append(TagFailure(None, Reason.INTERNAL, message))
        await recorder.end_run(results.outcome())
        raise
    if not context.dry_run:
        await learnt.save()
    if quota := read_quota(context.clients.source):
        await recorder.add_quota(quota)
    outcome = results.outcome()
    await recorder.end_run(outcome)
    return outcome, tuple(results.copied)


async def _record_stop(context: SyncContext, results: SyncResults) -> None:
    """Record a run that somebody stops. Where the history is away, a later run closes it."""
    done, left = results.progress()
    by = stopped_by()
    message = (
        f"stopped by {by or 'a cancellation'}: {done} of {done + left} changed tags were copied"
        + (f", the next run copies the other {left}" if left else "")
    )
    results.failures.append(TagFailure(None, Reason.ABANDONED, message))
    outcome = replace(results.outcome(), status=RunStatus.ABANDONED)
    writing = asyncio.ensure_future(context.recorder.end_run(outcome))
    with suppress(DatabaseError, TimeoutError):
        await asyncio.wait_for(asyncio.shield(writing), _STOP_SECONDS)


def _count(outcome: RunOutcome, copied: Sequence[CopyOutcome]) -> None:
    name = {"mirror.name": outcome.mirror}
    count("mirror.runs", 1, {**name, "mirror.run.status": outcome.status.value})
    failed = sum(one.failure is not None for one in copied)
    for result, number in (("copied", len(copied) - failed), ("failed", failed)):
        if number:
            count("mirror.copies", number, {**name, "mirror.copy.result": result})
    count("mirror.copied.bytes", sum(one.bytes_copied for one in copied), name)


async def refuse(context: SyncContext, reason: Reason, message: str) -> RunOutcome:
    """Record a run that could not begin, since another one works on the same target."""
    recorder, mirror = context.recorder, context.mirror.name
    run_id = await recorder.begin_run(
        mirror, context.trigger, context.full, context.dry_run, context.flow_run_id
    )
    outcome = RunOutcome(
        mirror=mirror,
        run_id=run_id,
        status=RunStatus.FAILED,
        errors=(TagFailure(None, reason, message),),
        dry_run=context.dry_run,
    )
    await recorder.end_run(outcome)
    return outcome


async def _sync(
    context: SyncContext, results: SyncResults, step: Step, learnt: LearntCapabilities
) -> None:
    recorder, mirror = context.recorder, context.mirror.name
    abandoned = await recorder.close_abandoned(mirror, results.run_id)
    await asyncio.to_thread(context.clients.require_credentials)
    keys = await asyncio.to_thread(context.clients.load_keys)
    known = await recorder.known_tags(mirror)
    await learnt.load()

    discovery = results.discovery = await _discover(context, results, step, known)
    results.failures += discovery.failed
    results.warnings += discovery.warnings
    results.warnings += _refusal_warnings(context)
    if discovery.suspicion is not None:
        results.failures.append(TagFailure(None, Reason.SUSPICIOUS, discovery.suspicion))
    if context.full and context.mirror.referrers:
        known, warnings = await mark_late_referrers(context, discovery, known)
        results.warnings += warnings
    plan = results.plan = await _diff(context, results, step, known)
    if context.dry_run:
        return
    budget = spend(plan.changes, discovery.tags, read_quota(context.clients.source))
    context.prefetch.start_copies(
        (change.digest for change in budget.affordable), context.clients.verifier
    )
    await recorder.discovered(results.run_id, mirror, discovery, plan)
    await _skip_held(context, results)
    if not (plan.changes or plan.adopted or plan.deletions):
        return
    await _defer_over_quota(context, results, budget)
    copier = await build_copier(context, discovery, known, look_first=bool(abandoned))
    await _copy_all(context, results, step, copier, keys, budget.affordable)
    if plan.deletions:
        results.warnings += await delete_gone(context, results.run_id, plan.deletions, known)
    results.warnings += [*_refusal_warnings(context), *copier.warnings]
    if context.shared and context.shared.trouble:
        why = f"blobs are read for each mirror separately: {context.shared.trouble}"
        results.warnings.append(why)
    if private := await warn_if_private(context.clients, results.copied):
        results.warnings.append(private)


async def _discover(
    context: SyncContext, results: SyncResults, step: Step, known: Mapping[str, KnownTag]
) -> Discovery:
    clients, prefetch = context.clients, context.prefetch
    request = DiscoverRequest(
        clients.source,
        clients.target,
        context.tags,
        known,
        context.full,
        clients.hub,
        context.mirror.name,
        context.accept_loss,
    )
    with results.timer.measure("discover", since=prefetch.started_at):
        return await step("discover", lambda: discover(request, prefetch), str(clients.source))


async def _diff(
    context: SyncContext, results: SyncResults, step: Step, known: Mapping[str, KnownTag]
) -> Plan:
    async def compare() -> Plan:
        return diff(
            *(results.discovery, known, context.tags, utcnow()),
            retry_now=context.retries_now,
            adopt=context.mirror.verify is None,
        )

    with results.timer.measure("diff"):
        return await step("diff", compare, str(context.clients.target))


async def _copy_all(
    context: SyncContext,
    results: SyncResults,
    step: Step,
    copier: Copier,
    keys: tuple[CosignKey, ...],
    changes: tuple[Change, ...],
) -> None:
    """Copy, verify and record the changed tags, and verify and record the adopted ones."""
    context.progress.add_tags(len(changes))
    verification = VerificationQueue(
        Verifier(context.clients.verifier, copier.put.get, copier.sure), results.timer
    )
    order = TagOrder(changes)
    slots = asyncio.Semaphore(tags_at_once(context.clients))
    batches = batches_of(changes, step, context.log)
    verify = context.mirror.verify
    signatures = SignatureCheck(
        context.clients.source, keys, verify.wait if verify else timedelta()
    )
    run_id = results.run_id
    work = TagWork(context, run_id, copier, verification, signatures, order, batches, slots)

    async def adopt_one(change: Change) -> None:
        _add(results, change, await adopt_tag(work, change))

    async def sync_one(change: Change) -> None:
        _add(results, change, await sync_tag(work, change))

    verifying = asyncio.create_task(_verify(step, verification, str(context.clients.target)))
    # In order, as many at once as may wait for each other: tags that wait come after all others.
    todo = chain(map(adopt_one, results.plan.adopted), map(sync_one, changes))

    async def work_off() -> None:
        for one in todo:
            await one

    count = min(len(results.plan.adopted) + len(changes), AT_ONCE)
    copying = [asyncio.create_task(work_off()) for _ in range(count)]
    try:
        with results.timer.measure("copy"):
            await asyncio.gather(*copying)
    finally:
        # After an error no tag may be copied or recorded any more: the run ends with it.
        for task in copying:
            task.cancel()
        await asyncio.gather(*copying, return_exceptions=True)
        await asyncio.gather(*(batch.close() for batch in set(batches.values())))
        verification.close()
        await verifying


async def _verify(step: Step, verification: VerificationQueue, target: str) -> None:
    try:
        await step("verify", verification.run, target)
    finally:
        verification.stop()  # also where the step failed before it began the work


def _add(results: SyncResults, change: Change, ended: CopyOutcome | str | None) -> None:
    if ended is None:
        return
    if isinstance(ended, str):
        results.warnings.append(f"{change.tag} {ended}")
        return
    results.copied.append(ended)
    if ended.failure is not None:
        results.failures.append(ended.failure)


async def _skip_held(context: SyncContext, results: SyncResults) -> None:
    for change in results.plan.held:
        message = (
            f"{change.tag} is immutable and moved at the source to {change.digest}: not overwritten"
        )
        results.warnings.append(message)
        await context.recorder.tag_skipped(
            results.run_id, context.mirror.name, change, TagStatus.HELD, message
        )


async def _defer_over_quota(context: SyncContext, results: SyncResults, budget: Budget) -> None:
    """Record and report the changes that the source's pull quota does not allow now."""
    for change in budget.deferred:
        results.failures.append(TagFailure(change.tag, Reason.QUOTA, budget.reason))
        await context.recorder.tag_skipped(
            results.run_id, context.mirror.name, change, TagStatus.WAITING, budget.reason
        )


def _refusal_warnings(context: SyncContext) -> list[str]:
    """What of the source could not be had the usual way, and is missing or slower for that."""
    refusals = context.clients.source.registry.capabilities.refusals
    warnings = []
    if refusal := refusals.get(OptionalRequest.HUB_API):
        warnings.append(f"the registry's own tag list was used: {refusal.reason}")
    if refusal := refusals.get(OptionalRequest.REFERRERS):
        warnings.append(
            f"referrers (signatures, SBOMs) could not be read: {refusal.reason}; only those with"
            " tags were copied"
        )
    return warnings
