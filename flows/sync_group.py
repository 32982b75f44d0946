"""Many mirrors synced by one flow run: a task run each, a bounded number at once.

Each mirror keeps its lock, its run in the history and its outcome; what a flow run costs at
Prefect's server is paid once for all of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, cast

from prefect import task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from flows.orchestration import key, publish_artifacts, redacting, task_log
from flows.sync_mirror import MIRRORS_AT_ONCE, Shared, SyncRequest, sharing, sync_mirror
from mirror.config import Settings, load_settings
from mirror.logs import log_fields
from mirror.outcome import Reason, RunOutcome, RunStatus
from mirror.outside_text import without_secrets
from mirror.sync import call_step

_ROWS = 200
End = RunOutcome | Exception
"""How the sync of a mirror ended: by its outcome, or by what broke it off."""


async def sync_group(
    requests: Sequence[SyncRequest],
    shared: Shared | None = None,
    ended: Callable[[str, End], None] = lambda mirror, end: None,
) -> tuple[RunOutcome, ...]:
    """Sync mirrors within the flow run that runs; their outcomes in the order of the requests.

    `shared`: with other syncs of this process. `ended` receives each end as it comes.
    One that ends by an error does not end the others. Raises the first such error at the end.
    """
    settings = load_settings()
    ends: dict[str, End] = {}
    opening: AbstractAsyncContextManager[Shared] = nullcontext(shared) if shared else sharing()
    async with opening as together:
        waiting = deque(replace(request, shared=together) for request in requests)

        async def worker() -> None:
            while waiting:
                async with together.turns:
                    if not waiting:
                        return
                    request = waiting.popleft()
                    work = partial(_sync, settings, request, ends)
                    await cast(Any, _sync_task)(request.mirror, work, return_state=True)
                    ended(request.mirror, ends[request.mirror])

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(MIRRORS_AT_ONCE, len(requests))):
                workers.create_task(worker())
    outcomes = []
    for request in requests:
        end = ends[request.mirror]
        if isinstance(end, Exception):
            raise end
        outcomes.append(end)
    return tuple(outcomes)


async def _sync(settings: Settings, request: SyncRequest, ends: dict[str, End]) -> State[None]:
    """Sync one mirror, keep how that ended, and say it as a state."""
    ends[request.mirror] = RuntimeError(f"the sync of {request.mirror} was broken off")
    try:
        with log_fields(mirror=request.mirror):
            outcome, _ = await sync_mirror(settings, request, call_step)
    except Exception as error:
        ends[request.mirror] = without_secrets(error)
        raise
    ends[request.mirror] = outcome
    for failure in outcome.errors:
        task_log(f"{failure.tag or outcome.mirror}: {failure.message}", failed=True)
    for warning in outcome.warnings:
        task_log(warning)
    return _state(outcome)


def _state(outcome: RunOutcome) -> State[None]:
    done = f"{outcome.tags.copied} of {outcome.tags.changed} changed tags copied"
    if outcome.status is RunStatus.SUCCEEDED:
        return Completed(message=done)
    if not outcome.errors:  # tags that failed before wait for their next attempt
        return Completed(name="Partial", message=done)
    first = outcome.errors[0]
    if first.reason is Reason.LOCK:  # another run is at work
        return Cancelled(message=first.message)
    return Failed(message=f"{done}: {first.message}")


@task(name="sync", task_run_name="sync {mirror}", cache_policy=NO_CACHE, persist_result=False)
@redacting
async def _sync_task(mirror: str, work: Callable[[], Awaitable[State[None]]]) -> State[None]:
    """Sync one mirror. Takes a callable: Prefect looks through dataclasses, however large."""
    return await work()


async def publish_group(name: str, outcomes: Sequence[RunOutcome]) -> None:
    """A table of the mirrors as an artifact, those that did not succeed first."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.status is RunStatus.SUCCEEDED)
    rows = [
        {
            "mirror": outcome.mirror,
            "status": outcome.status.value,
            "changed": outcome.tags.changed,
            "copied": outcome.tags.copied,
            "failed": outcome.tags.failed,
            "bytes": outcome.bytes_copied,
            "seconds": round(outcome.seconds.total, 2),
            "error": outcome.errors[0].message if outcome.errors else "",
        }
        for outcome in ordered[:_ROWS]
    ]
    await publish_artifacts(
        acreate_table_artifact(
            key=key("sync-entry", name),
            table=rows,
            description=f"Last sync of {len(outcomes)} repositories of {name}",
        )
    )
