"""The main job: `sync(mirror)` syncs one mirror with its source and records it.

mirror.sync.run composes the steps: discover, diff, copy, verify, record. Here each becomes a task,
the copies one or a few dozen of them, and the end of the run a state of the flow.
"""

from __future__ import annotations

from typing import Any

from prefect import Flow, flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from flows.orchestration import (
    OutcomeError,
    TriggerName,
    alert,
    as_task,
    living,
    no_retries_if_hopeless,
    progress_artifact,
    publish_run,
    run_name,
    trigger_of,
)
from flows.sync_mirror import Shared, SyncRequest, sync_mirror
from mirror.config import load_settings
from mirror.logs import add_log_fields, log_fields
from mirror.outcome import CopyOutcome, Reason, RunOutcome, RunStatus
from mirror.sync import SyncProgress


def sync_flow(
    progress: SyncProgress | None = None, shared: Shared | None = None
) -> Flow[[str, bool, bool, TriggerName | None, bool], Any]:
    """The flow `sync`. Who syncs several mirrors in this process passes what they share."""

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
        add_log_fields(mirror=mirror)
        async with no_retries_if_hopeless():
            outcome, copied = await _sync(
                SyncRequest(
                    mirror,
                    full,
                    trigger_of(trigger),
                    dry_run,
                    accept_loss,
                    progress or SyncProgress(),
                    shared,
                )
            )
            add_log_fields(run=outcome.run_id)
            _log(outcome)
            await publish_run(outcome, copied)
            return _state(outcome)

    return sync


sync = sync_flow()


async def _sync(request: SyncRequest) -> tuple[RunOutcome, tuple[CopyOutcome, ...]]:
    async with progress_artifact(request.mirror, request.progress):
        return await sync_mirror(load_settings(), request, as_task)


def _log(outcome: RunOutcome) -> None:
    log = get_run_logger()
    for failure in outcome.errors:
        with log_fields(**({"tag": failure.tag} if failure.tag else {})):
            log.error("%s: %s", failure.tag or outcome.mirror, failure.message)
    for warning in outcome.warnings:
        log.warning("%s", warning)


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
