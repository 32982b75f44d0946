"""A flow run is alive as long as its session answers; one run does a piece of work at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest
import sqlalchemy as sa

from mirror.history import AlreadyRunning, as_living_run, end_session, find_living_runs
from mirror.history.database.address import conninfo
from tests.history.values import row

ONE, OTHER = "0198e000-0000-7000-8000-000000000001", "0198e000-0000-7000-8000-000000000002"
KEY = "hashtextextended('hagicode-mirror work watch', 0)"


async def work(started: asyncio.Event, end: asyncio.Event) -> str:
    started.set()
    await end.wait()
    return "done"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(1200):
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError


async def until_terminated(engine: sa.Engine, run: str) -> None:
    query = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mirror run {run}'"

    async def gone() -> bool:
        return bool(row(engine, query)[0] == 0)

    await until(gone)


async def test_a_run_is_alive_until_its_work_ends(url: str, engine: sa.Engine) -> None:
    started, end = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(as_living_run(url, ONE, "watch", work(started, end)))
    await started.wait()
    assert (await find_living_runs(url)).alive == {ONE}
    end.set()
    assert await running == "done"
    await until_terminated(engine, ONE)
    assert (await find_living_runs(url)).alive == frozenset()


async def test_two_runs_never_do_the_same_work(url: str) -> None:
    started, end = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(as_living_run(url, ONE, "watch", work(started, end)))
    await started.wait()
    with pytest.raises(AlreadyRunning, match="watch"):
        await as_living_run(url, OTHER, "watch", work(asyncio.Event(), end))
    end.set()
    for same in ("report", None):
        assert await as_living_run(url, OTHER, same, work(asyncio.Event(), end)) == "done"
    await running


async def test_a_frozen_run_is_seen_and_its_work_is_taken_over(
    url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.history.locks.living_runs.SILENT", 0.2)
    # A session that never says anything again, as that of a stopped process.
    async with await psycopg.AsyncConnection.connect(
        conninfo(url), autocommit=True, application_name=f"mirror run {ONE}"
    ) as frozen:
        await frozen.execute(f"SELECT pg_advisory_lock({KEY})")

        async def frozen_is_seen() -> bool:
            return ONE in (await find_living_runs(url)).frozen

        await until(frozen_is_seen)
        end = asyncio.Event()
        end.set()
        assert await as_living_run(url, OTHER, "watch", work(asyncio.Event(), end)) == "done"
        await until_terminated(engine, ONE)


async def test_the_session_of_a_run_can_be_ended(url: str, engine: sa.Engine) -> None:
    async with await psycopg.AsyncConnection.connect(
        conninfo(url), autocommit=True, application_name=f"mirror run {ONE}"
    ):
        await end_session(url, ONE)
        await until_terminated(engine, ONE)


async def test_a_broken_session_is_replaced(
    url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.history.locks.living_runs.BEAT", 0.05)
    monkeypatch.setattr("mirror.history.locks.living_runs._RECONNECT", 0.05)
    started, end = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(as_living_run(url, ONE, "watch", work(started, end)))
    await started.wait()
    first = row(
        engine, f"SELECT pid FROM pg_stat_activity WHERE application_name = 'mirror run {ONE}'"
    )[0]
    row(engine, f"SELECT pg_terminate_backend({first}, 5000)")

    async def is_back() -> bool:
        return ONE in (await find_living_runs(url)).alive

    await until(is_back)
    with pytest.raises(AlreadyRunning):
        await as_living_run(url, OTHER, "watch", work(asyncio.Event(), end))
    end.set()
    assert await running == "done"


async def test_a_run_whose_work_was_taken_over_stops(
    url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.history.locks.living_runs.BEAT", 0.05)
    monkeypatch.setattr("mirror.history.locks.living_runs._RECONNECT", 0.5)
    started, end = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(as_living_run(url, ONE, "watch", work(started, end)))
    await started.wait()
    async with await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True) as other:
        await end_session(url, ONE)
        await other.execute(f"SELECT pg_advisory_lock({KEY})")
        with pytest.raises(AlreadyRunning):
            await running
