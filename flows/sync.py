"""The main job: `sync(mirror)` syncs one mirror with its source and records it.

mirror.sync.run composes the steps: discover, diff, copy, verify, record. Here each becomes a task,
the copies one or a few dozen of them, and the end of the run a state of the flow.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from prefect import Flow, flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run as current_flow_run
from prefect.states import Cancelled, Completed

from flows.orchestration import (
    OutcomeError,
    TriggerName,
    alert,
    as_task,
    living,
    load_secret,
    no_retries_if_hopeless,
    progress_artifact,
    publish_run,
    run_name,
    task_log,
    trigger_of,
)
from mirror.config import load_settings
from mirror.history import PostgresRecorder, TargetLocked, database_url, mirror_row, prepare
from mirror.outcome import CopyOutcome, Reason, RetryRule, RunOutcome, RunStatus, Trigger
from mirror.sync import (
    Prefetch,
    SharedUploads,
    SyncContext,
    SyncProgress,
    image_rules_of,
    open_clients,
    refuse,
    run,
)


def sync_flow(
    progress: SyncProgress | None = None, uploads: SharedUploads | None = None
) -> Flow[[str, bool, bool, TriggerName | None, bool], Any]:
    """The flow `sync`. A command passes what the mirrors that it syncs in this process share."""

    @flow(
        name="sync",
        flow_run_name=run_name("sync {mirror}"),
        retries=3,
        retry_delay_seconds=300,
        persist_result=False,
        on_completion=[alert],
        on_failure=[alert],
        on_crashed=[alert],
    )
    @living
    async def sync(
        mirror: str,
        full: bool = True,
        dry_run: bool = False,
        trigger: TriggerName | None = None,
        accept_loss: bool = False,
    ) -> State[RunOutcome]:
        """Sync one mirror of mirrors.yaml with its source.

        The state's data is the RunOutcome. A run in which some tags failed is
        Completed with the name Partial: later runs try those tags again, when the history says.

        Args:
            mirror: Its name in mirrors.yaml.
            full: Compare both sides instead of trusting what the history knows.
            dry_run: Only report what would be done.
            trigger: What the history records as the reason of the run. Empty: `manual` for a run
                that a person starts, which tries failed tags again at once, else `schedule`.
            accept_loss: The source lost tags on purpose: mark them as gone, however many.

        Raises OutcomeError, which carries the outcome, for a run that failed as a whole: Prefect
        retries a flow that raises, and leaves one that returns a Failed state waiting for a retry
        that never comes.
        """
        async with no_retries_if_hopeless():
            outcome, copied = await _sync(
                mirror,
                full,
                dry_run,
                trigger_of(trigger),
                accept_loss,
                progress or SyncProgress(),
                uploads,
            )
            log = get_run_logger()
            for failure in outcome.errors:
                log.error("%s: %s", failure.tag or outcome.mirror, failure.message)
            for warning in outcome.warnings:
                log.warning("%s", warning)
            await publish_run(outcome, copied)
            return _state(outcome)

    return sync


sync = sync_flow()


async def _sync(
    name: str,
    full: bool,
    dry_run: bool,
    trigger: Trigger,
    accept_loss: bool,
    progress: SyncProgress,
    uploads: SharedUploads | None,
) -> tuple[RunOutcome, tuple[CopyOutcome, ...]]:
    started_at = time.perf_counter()
    settings = load_settings()
    mirror = settings.mirror(name)
    images = None if dry_run else image_rules_of(mirror)
    async with open_clients(settings, mirror, load_secret) as clients:
        prefetch = Prefetch(clients.source, clients.target, clients.hub, full=full, images=images)
        async with prefetch, progress_artifact(name, progress):
            ready = await clients.have_credentials()
            if ready:
                prefetch.start_listing()
            url = await asyncio.to_thread(database_url)
            await asyncio.to_thread(prepare, url)
            async with PostgresRecorder.open(url) as recorder:
                known = await recorder.ensure_mirror(mirror_row(mirror))
                if ready and not known:
                    prefetch.start_first_look()
                context = SyncContext(
                    mirror,
                    clients,
                    recorder,
                    prefetch,
                    full=full,
                    dry_run=dry_run,
                    accept_loss=accept_loss,
                    trigger=trigger,
                    retry=RetryRule(**settings.retry.model_dump()),
                    progress=progress,
                    shared_uploads=uploads,
                    log=task_log,
                    flow_run_id=current_flow_run.get_id(),
                    started_at=started_at,
                )
                try:
                    async with recorder.target_lock(mirror.target) as lock:
                        return await lock.hold(run(context, as_task))
                except TargetLocked as locked:
                    return await refuse(context, Reason.LOCK, str(locked)), ()


def _state(outcome: RunOutcome) -> State[RunOutcome]:
    done = f"{outcome.tags.copied} of {outcome.tags.changed} changed tags copied"
    if outcome.status is RunStatus.SUCCEEDED:
        return Completed(message=done, data=outcome)
    if outcome.status is RunStatus.PARTIAL:
        return Completed(name="Partial", message=done, data=outcome)
    first = outcome.errors[0]
    if first.reason is Reason.LOCK:  # another run is at work: nothing to retry
        return Cancelled(message=first.message, data=OutcomeError(first.message, outcome))
    raise OutcomeError(first.message, outcome)
