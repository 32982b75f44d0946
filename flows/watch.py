"""The flow `watch`: check every source, and sync the mirrors whose source moved at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from prefect import flow, get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.deployments.flow_runs import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed

from flows.orchestration import OutcomeError, living_alone, load_secret, outcome_of
from flows.sync import sync
from mirror.checks import WatchReport, WatchResult, watch_source, watch_sources
from mirror.config import load_settings
from mirror.history import PostgresRecorder, database_url, prepare
from mirror.outcome import RunOutcome, Trigger
from mirror.sync import open_clients


@flow(name="watch", flow_run_name="watch", persist_result=False)
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
    async with PostgresRecorder.open(url) as record:
        found = await watch_sources(
            settings,
            record,
            partial(open_clients, settings, secrets=load_secret),
            step=lambda work: look_task(partial(watch_source, work)),
        )
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
            synced=await _sync(here),
            requests=found.requests,
            seconds=round(time.perf_counter() - started, 4),
            errors=found.errors,
        )
    )


@task(name="look", task_run_name="look", cache_policy=NO_CACHE, persist_result=False)
async def look_task(look: Callable[[], Awaitable[WatchResult]]) -> WatchResult:
    """Look at one source. Takes a callable: Prefect looks through dataclasses, however large."""
    return await look()


def _state(report: WatchReport) -> State[WatchReport]:
    if report.failed:
        message = report.errors[0].message
        return Failed(message=message, data=OutcomeError(message, report))
    moved = f"moved: {', '.join(report.moved)}" if report.moved else "nothing moved"
    return Completed(name=None if report.well else "Partial", message=moved, data=report)


async def _find_deployed(mirrors: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The mirrors whose sync is deployed, and the others."""
    deployed, others = [], []
    async with get_client() as client:
        for name in mirrors:
            try:
                await client.read_deployment_by_name(f"sync/{name}")
            except ObjectNotFound:
                others.append(name)
            else:
                deployed.append(name)
    return tuple(deployed), tuple(others)


async def _start_deployments(mirrors: Sequence[str]) -> None:
    """Start the syncs without waiting for them to end."""
    for name in mirrors:
        await arun_deployment(
            f"sync/{name}",
            parameters={"mirror": name, "full": False, "trigger": Trigger.WATCH.value},
            timeout=0,
            as_subflow=False,
        )


async def _sync(mirrors: Sequence[str]) -> tuple[RunOutcome, ...]:
    """Run the syncs in this process, all at once."""
    states = await asyncio.gather(
        *(
            sync.with_options(retries=0)(
                mirror=name, full=False, trigger=Trigger.WATCH.value, return_state=True
            )
            for name in mirrors
        )
    )
    outcomes = []
    for state in states:
        outcome = await outcome_of(state)
        if not isinstance(outcome, RunOutcome):
            await state.aresult()
            raise RuntimeError(f"a sync ended as {state.name} without an outcome")
        outcomes.append(outcome)
    return tuple(outcomes)
