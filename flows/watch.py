"""The flow `watch`: check every source, and sync the mirrors whose source moved at once."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from prefect import Flow, flow, get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed

from flows.orchestration import (
    OutcomeError,
    alert,
    living_alone,
    load_secret,
    outcome_of,
    parts_of,
    redacting,
    run_name,
    start_entry_runs,
)
from flows.sync_entry import keep_looked, look_at
from flows.sync_group import sync_group
from flows.sync_mirror import SyncRequest
from mirror.checks import (
    WatchReport,
    WatchResult,
    watch_source,
    watch_sources,
)
from mirror.config import load_settings
from mirror.history import (
    PostgresRecorder,
    database_url,
    prepare,
)
from mirror.outcome import Trigger
from mirror.sync import open_clients


async def alert_if_synced(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Evaluate the alert rules once mirrors were synced here, as the end of each sync does."""
    report = await outcome_of(state)
    if isinstance(report, WatchReport) and report.synced:
        await alert(flow, flow_run, state)


@flow(
    name="watch",
    flow_run_name=run_name("watch"),
    persist_result=False,
    on_completion=[alert_if_synced],
)
@living_alone
async def watch() -> State[WatchReport]:
    """Check every source once and start the sync of each mirror whose source moved.

    A sync runs as its deployment where there is one, else in this process. The state's data is the
    WatchReport. A run in which a source or a sync failed is Completed with the name Partial; one
    that could read no source is Failed.
    """
    started, settings = time.perf_counter(), load_settings()
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    entries = await look_at(settings, tuple(settings.entries)) if settings.entries else None
    if entries is not None:
        settings = entries.to_look_at
    async with PostgresRecorder.open(url) as record:
        found = await watch_sources(
            settings,
            record,
            partial(open_clients, settings, secrets=load_secret),
            step=lambda work: look_task(work.source, partial(watch_source, work)),
        )
    if entries is not None:
        found = await keep_looked(entries, found)
    log = get_run_logger()
    for error in found.errors:
        log.error("%s", error.message)
    deployed, here = await _find_deployed(found.moved)
    await _start_deployments(deployed)
    return _state(
        WatchReport(
            looked=tuple(result.source for result in found.results),
            moved=found.moved,
            started=deployed,
            synced=await sync_group([SyncRequest(name, False, Trigger.WATCH) for name in here]),
            requests=found.requests,
            seconds=round(time.perf_counter() - started, 4),
            errors=found.errors,
        )
    )


@task(name="look", task_run_name="look at {source}", cache_policy=NO_CACHE, persist_result=False)
@redacting
async def look_task(source: str, look: Callable[[], Awaitable[WatchResult]]) -> WatchResult:
    """Look at one source. Takes a callable: Prefect looks through dataclasses, however large."""
    return await look()


def _state(report: WatchReport) -> State[WatchReport]:
    if report.failed:
        message = report.errors[0].message
        return Failed(message=message, data=OutcomeError(message, report))
    parts = [f"moved: {', '.join(report.moved)}" if report.moved else "nothing moved"]
    if report.errors:
        first = report.errors[0].message
        parts.append(f"{len(report.errors)} of {len(report.looked)} sources failed: {first}")
    if failed := [sync.mirror for sync in report.synced if sync.errors]:
        parts.append(f"syncs with failures: {', '.join(failed)}")
    return Completed(name=None if report.well else "Partial", message="; ".join(parts), data=report)


async def _find_deployed(mirrors: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The mirrors whose sync is deployed, alone or with their entry, and the others."""
    wanted: dict[str, list[str]] = defaultdict(list)
    for name in mirrors:
        wanted[_deployment(name)].append(name)
    deployed: list[str] = []
    others: list[str] = []
    async with get_client() as client:
        for deployment, names in wanted.items():
            try:
                await client.read_deployment_by_name(deployment)
            except ObjectNotFound:
                others += names
            else:
                deployed += names
    return tuple(deployed), tuple(others)


def _deployment(mirror: str) -> str:
    """flow/name of the deployment that syncs a mirror."""
    entry, of_many, _ = mirror.partition("/")
    return f"sync-entry/{entry}" if of_many else f"sync/{mirror}"


async def _start_deployments(mirrors: Sequence[str]) -> None:
    """Start the syncs without waiting for them to end: one run for many mirrors of an entry."""
    parameters = {"full": False, "trigger": Trigger.WATCH.value}
    entries: dict[str, list[str]] = defaultdict(list)
    for name in mirrors:
        entry, of_many, _ = name.partition("/")
        if of_many:
            entries[entry].append(name)
        else:
            await arun_deployment(
                _deployment(name),
                parameters={"mirror": name, **parameters},
                timeout=0,
                as_subflow=False,
            )
    for entry, names in entries.items():
        await start_entry_runs(entry, parts_of(names), parameters)
