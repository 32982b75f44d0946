"""Syncs one mirror, in its own flow or in one for many: clients, history, lock, run.

Syncs in one process share a pool of connections to the history. Each has one more, for its lock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from prefect import get_run_logger
from prefect.runtime import flow_run as current_flow_run

from flows.orchestration import load_secret, task_log
from mirror.config import MirrorSettings, Settings
from mirror.history import (
    HistoryPool,
    PostgresRecorder,
    TargetLocked,
    data_dir,
    database_url,
    mirror_row,
    prepare,
)
from mirror.outcome import CopyOutcome, Reason, RetryRule, RunOutcome, Trigger
from mirror.registry import Reference
from mirror.sync import (
    Prefetch,
    SharedTransfers,
    Step,
    SyncContext,
    SyncProgress,
    image_rules_of,
    open_clients,
    refuse,
    run,
)

T = TypeVar("T")
MIRRORS_AT_ONCE: Final = 8  # in one process; more wait for the processor, not for registries
_POOLED: Final = 4  # connections for statements, of all mirrors of a process together
_CLOSES_WITHIN: Final = 5.0  # seconds to write that a run was stopped


@dataclass(frozen=True, slots=True)
class Shared:
    """What the syncs of one process share."""

    transfers: SharedTransfers
    pool: HistoryPool
    """Connections to the history, which has been prepared."""
    turns: asyncio.Semaphore
    """Who starts a sync holds one of these until it ends."""


@asynccontextmanager
async def sharing(at_once: int = MIRRORS_AT_ONCE) -> AsyncIterator[Shared]:
    """What syncs share, for so many mirrors at once. Raises DatabaseAway, SchemaBehind."""
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    async with HistoryPool.open(url, _POOLED) as pool:
        with SharedTransfers(data_dir()) as transfers:
            yield Shared(transfers, pool, asyncio.Semaphore(at_once))


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A mirror to sync, how, and what it shares with others that this process syncs."""

    mirror: str
    full: bool
    trigger: Trigger
    dry_run: bool = False
    accept_loss: bool = False
    progress: SyncProgress = field(default_factory=SyncProgress)
    shared: Shared | None = None


async def sync_mirror(
    settings: Settings, request: SyncRequest, step: Step
) -> tuple[RunOutcome, tuple[CopyOutcome, ...]]:
    """Sync one mirror under its target's lock; the outcome of the run and of each tag of it.

    Raises as mirror.sync.run does.
    """
    started_at = time.perf_counter()
    mirror = settings.mirror(request.mirror)
    images = None if request.dry_run else image_rules_of(mirror)
    async with AsyncExitStack() as stack:
        transfers = request.shared.transfers if request.shared else None
        opening = open_clients(settings, mirror, load_secret, transfers)
        clients = await stack.enter_async_context(opening)
        prefetch = Prefetch(
            clients.source, clients.target, clients.hub, full=request.full, images=images
        )
        await stack.enter_async_context(prefetch)
        ready = await clients.have_credentials()
        turns = _turns(settings, mirror)
        if ready and not turns:
            prefetch.start_listing()
        if request.shared:
            recorder = PostgresRecorder.of(request.shared.pool)
        else:
            url = await asyncio.to_thread(database_url)
            await asyncio.to_thread(prepare, url)
            recorder = await stack.enter_async_context(PostgresRecorder.open(url))
        known = await recorder.ensure_mirror(mirror_row(mirror))
        if ready and not turns and not known:
            prefetch.start_first_look()
        context = SyncContext(
            mirror,
            clients,
            recorder,
            prefetch,
            full=request.full,
            dry_run=request.dry_run,
            accept_loss=request.accept_loss,
            trigger=request.trigger,
            retry=RetryRule(**settings.retry.model_dump()),
            progress=request.progress,
            shared=transfers,
            log=task_log,
            flow_run_id=current_flow_run.get_id(),
            started_at=started_at,
        )
        try:
            async with recorder.target_lock(mirror.target) as lock:
                work = _in_turn(recorder, turns, request.progress, lambda: run(context, step))
                return await lock.hold(work)
        except TargetLocked as locked:
            return await refuse(context, Reason.LOCK, str(locked)), ()
        except asyncio.CancelledError:  # a signal; the lock is free again
            async with asyncio.timeout(_CLOSES_WITHIN):
                await recorder.close_abandoned(request.mirror, None)
            raise


def _turns(settings: Settings, mirror: MirrorSettings) -> dict[str, int]:
    """How many syncs may use each registry of a mirror, where that is bounded.

    In the order of their names, so that two syncs never wait for each other.
    """
    hosts = {Reference.parse(side).registry for side in (mirror.source, mirror.target)}
    bounds = {host: settings.registry(host).max_syncs for host in sorted(hosts)}
    return {host: most for host, most in bounds.items() if most is not None}


async def _in_turn(
    recorder: PostgresRecorder,
    turns: Mapping[str, int],
    progress: SyncProgress,
    work: Callable[[], Coroutine[Any, Any, T]],
) -> T:
    """Do the work while a turn at each of the registries is held."""
    if not turns:
        return await work()
    (host, most), *others = turns.items()

    def waiting() -> None:
        progress.waits_for = host
        get_run_logger().info(
            "Waiting for a turn at %s: %d syncs use it, its max_syncs.", host, most
        )

    async with recorder.turn(host, most, waiting) as turn:
        progress.waits_for = ""
        return await turn.hold(_in_turn(recorder, dict(others), progress, work))
