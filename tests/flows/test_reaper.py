"""Flow runs whose process is gone are ended at Prefect, whatever their state, and late ones too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State, StateType
from prefect.settings import PREFECT_API_URL
from prefect.states import AwaitingRetry, Pending, Running, Scheduled

from flows.orchestration import Reaper, deploy, planned
from mirror.config import load_settings
from mirror.history import as_living_run
from mirror.history.database.address import conninfo
from tests.flows.conftest import Mirrors


@dataclass
class Runs:
    """Runs of the deployments in the work pool."""

    client: PrefectClient

    async def add(
        self, deployment: str, state: State[None] | None = None, **parameters: object
    ) -> UUID:
        known = await self.client.read_deployment_by_name(deployment)
        run = await self.client.create_flow_run_from_deployment(known.id, parameters=parameters)
        if state is not None and state.is_cancelling():  # from Scheduled it is Cancelled at once
            await self.client.set_flow_run_state(run.id, Running(), force=True)
        if state is not None:
            await self.client.set_flow_run_state(run.id, state, force=True)
        return run.id

    async def state(self, run: UUID) -> str:
        state = (await self.client.read_flow_run(run)).state
        assert state is not None
        return str(state.name)


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> str:
    """A pool for each test: runs of others would be ended with it."""
    return str(request.node.name).replace("_", "-")


@pytest.fixture
async def runs(mirrors: Mirrors, pool: str) -> AsyncIterator[Runs]:
    mirrors.add("m", "registry.example.com/team/app", "mirror.example.com/team/app")
    api_url = PREFECT_API_URL.value()
    assert api_url is not None
    await deploy(api_url, planned(load_settings(mirrors.path)), pool, Path("/srv"))
    async with get_client() as client:
        yield Runs(client)
    await deploy(api_url, (), pool, Path("/srv"))


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
async def reaper(now: list[float], pool: str) -> AsyncIterator[Reaper]:
    async with Reaper(str(PREFECT_API_URL.value()), pool, clock=lambda: now[0]) as opened:
        yield opened


def cancelling() -> State[None]:
    return State(type=StateType.CANCELLING)


async def test_runs_without_a_process_end_in_whatever_state_they_were_left(
    runs: Runs, reaper: Reaper, now: list[float]
) -> None:
    minute_ago = datetime.now(UTC) - timedelta(minutes=1)
    left = {
        await runs.add("watch/all-mirrors", Pending()): "Crashed",
        await runs.add("report/all-mirrors", Pending(name="Submitting")): "Crashed",
        await runs.add("sync/m", Running()): "Crashed",
        await runs.add("audit/m", cancelling()): "Cancelled",
        await runs.add("sync/m", AwaitingRetry(scheduled_time=minute_ago), full=False): "Crashed",
    }
    assert await reaper.look() == ()
    now[0] = 60.0
    ended = await reaper.look()
    assert {run: await runs.state(run) for run in left} == left
    assert {run for run in left if any(str(run) in line for line in ended)} == left.keys()
    assert await reaper.look() == ()


async def test_a_run_that_shows_that_it_lives_goes_on(
    runs: Runs, reaper: Reaper, now: list[float], url: str
) -> None:
    run = await runs.add("sync/m", Running())
    started, end = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        await end.wait()

    living = asyncio.create_task(as_living_run(url, str(run), None, work()))
    await started.wait()
    for now[0] in (0.0, 60.0, 120.0):
        assert await reaper.look(at_once=True) == ()
    end.set()
    await living
    assert await runs.state(run) == "Running"


async def test_a_frozen_run_is_ended_and_its_session_with_it(
    runs: Runs, reaper: Reaper, now: list[float], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.history.locks.living_runs.SILENT", 0.0)
    run = await runs.add("watch/all-mirrors", Running())
    async with await psycopg.AsyncConnection.connect(
        conninfo(url), autocommit=True, application_name=f"mirror run {run}"
    ) as frozen:
        await reaper.look()
        now[0] = 30.0
        (line,) = await reaper.look()
        assert "not answered" in line
        with pytest.raises(psycopg.OperationalError):
            await frozen.execute("SELECT 1")
    assert await runs.state(run) == "Crashed"


async def test_of_the_runs_of_hours_without_a_worker_the_last_is_left(
    runs: Runs, reaper: Reaper
) -> None:
    hour = timedelta(hours=1)
    times = [datetime.now(UTC) - hours * hour for hours in (3, 2, 1)]
    looks = [
        await runs.add("sync/m", Scheduled(scheduled_time=time), full=False, trigger="watch")
        for time in times
    ]
    by_hand = [
        await runs.add("sync/m", Scheduled(scheduled_time=time), full=True) for time in times
    ]
    later = await runs.add("watch/all-mirrors", Scheduled(scheduled_time=datetime.now(UTC) + hour))
    assert len(await reaper.look()) == 2
    assert [await runs.state(run) for run in looks] == ["Cancelled", "Cancelled", "Scheduled"]
    assert {await runs.state(run) for run in (*by_hand, later)} == {"Scheduled"}


async def test_a_look_that_finds_nothing_is_one_request(
    runs: Runs, reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    await runs.add("sync/m", Scheduled(scheduled_time=datetime.now(UTC) + timedelta(hours=1)))
    await reaper.look()
    sent: list[str] = []
    send = httpx.AsyncClient.send

    async def noted(
        client: httpx.AsyncClient, request: httpx.Request, **options: Any
    ) -> httpx.Response:
        sent.append(f"{request.method} {request.url.path}")
        return await send(client, request, **options)

    monkeypatch.setattr(httpx.AsyncClient, "send", noted)
    assert await reaper.look() == ()
    assert sent == ["POST /api/flow_runs/filter"]


async def test_a_pool_that_is_not_ours_is_left_alone(runs: Runs, now: list[float]) -> None:
    run = await runs.add("sync/m", Running())
    async with Reaper(str(PREFECT_API_URL.value()), "another-pool", clock=lambda: now[0]) as other:
        assert await other.look(at_once=True) == ()
    assert await runs.state(run) == "Running"
