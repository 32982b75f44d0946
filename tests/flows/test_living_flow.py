"""Runs of deployments are seen to be alive, and end by themselves where another is at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import Flow, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL

from flows.local.sample_registry.releases import release
from flows.maintain import maintain
from flows.orchestration import deploy, planned
from flows.sync import sync
from mirror.config import load_settings
from mirror.history import AlreadyRunning, as_living_run, find_living_runs
from tests.flows.conftest import Mirrors, Pair, Rows
from tests.support.fake_registry.push import push

OTHER = "0198e000-0000-7000-8000-000000000002"


@pytest.fixture
async def deployments(pair: Pair, mirrors: Mirrors) -> AsyncIterator[None]:
    url = PREFECT_API_URL.value()
    assert url is not None
    await deploy(url, planned(load_settings(mirrors.path)), "living", Path("/srv"))
    yield
    await deploy(url, (), "living", Path("/srv"))


async def scheduled_run(deployment: str) -> FlowRun:
    async with get_client() as client:
        known = await client.read_deployment_by_name(deployment)
        return await client.create_flow_run_from_deployment(known.id)


async def run(flow: Flow[..., Any], flow_run: FlowRun) -> State[Any]:
    """Run it as a worker's process does."""
    state: Any = run_flow(
        flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state"
    )
    ended = await state
    assert isinstance(ended, State)
    return ended


async def at_prefect(flow_run: UUID) -> FlowRun:
    async with get_client() as client:
        return await client.read_flow_run(flow_run)


async def test_a_run_that_collides_ends_cancelled_and_says_why(
    deployments: None, url: str, rows: Rows
) -> None:
    held, end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        held.set()
        await end.wait()

    other = asyncio.create_task(as_living_run(url, OTHER, "maintain", hold()))
    await held.wait()
    flow_run = await scheduled_run("maintain/record")
    assert (await run(maintain, flow_run)).is_cancelled()
    seen = await at_prefect(flow_run.id)
    assert seen.state is not None and seen.state.name == "Cancelled"
    assert "another run is at work" in (seen.state.message or "")
    end.set()
    await other
    assert (await run(maintain, await scheduled_run("maintain/record"))).is_completed()


async def test_a_sync_of_a_deployment_is_seen_to_be_alive(
    deployments: None, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[frozenset[str]] = []

    async def look(*_: object) -> None:
        seen.append((await find_living_runs(url)).alive)

    monkeypatch.setattr("flows.sync.publish_run", look)
    flow_run = await scheduled_run("sync/m")
    await run(sync.with_options(retries=0), flow_run)
    assert seen == [frozenset({str(flow_run.id)})]


async def test_runs_by_hand_are_not_refused(mirrors: Mirrors, pair: Pair, url: str) -> None:
    held = asyncio.Event()
    other = asyncio.create_task(as_living_run(url, OTHER, "maintain", held.wait()))
    state: Any = await maintain(return_state=True)
    assert state.is_completed()
    held.set()
    await other


def test_the_words_of_a_collision() -> None:
    assert "\n" not in str(AlreadyRunning("report since=7d"))


@pytest.mark.parametrize(("given", "recorded"), [(None, "manual"), ("watch", "watch")])
async def test_the_history_says_who_started_a_run(
    deployments: None, rows: Rows, given: str | None, recorded: str
) -> None:
    flow_run = await scheduled_run("sync/m")
    flow_run.parameters["trigger"] = given
    await run(sync.with_options(retries=0), flow_run)
    query = "SELECT trigger FROM sync_run WHERE flow_run_id::text = :id"
    assert rows.one(query, id=str(flow_run.id)) == recorded
    assert (await at_prefect(flow_run.id)).name.startswith("sync m ")


async def test_the_steps_say_what_they_found(
    mirrors: Mirrors, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    made = release("1.0.0")
    await push(pair.source_url, pair.source, made.version, made.image)
    await mirrors.sync()
    assert "1 tags looked at, by tags_list" in caplog.text
    assert "1 to copy, 0 unchanged, 0 gone, 0 deferred" in caplog.text
