"""The recorder keeps few connections and reuses only usable ones."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from mirror.history import DatabaseAway, PostgresRecorder
from mirror.history.database.connections import Connections, HistoryPool
from tests.history.values import row
from tests.support.records import MIRROR

NAME = MIRROR.name
OPEN = (
    "SELECT count(*) AS backends FROM pg_stat_activity"
    " WHERE datname = current_database() AND application_name = 'mirror'"
    " AND pid <> pg_backend_pid()"
)


async def backend(connections: Connections, seconds: float = 0.0) -> int:
    """The process that ran a statement of that length."""
    async with connections.one() as connection:
        await connection.execute("SELECT pg_sleep(%s)", [seconds])
        return connection.info.backend_pid


async def test_statements_run_side_by_side_on_three_connections_at_most(
    url: str, engine: sa.Engine
) -> None:
    pool = HistoryPool(url)
    connections = Connections(pool)
    assert row(engine, OPEN).backends == 0, "opened when needed, not before"
    pids = await asyncio.gather(*(backend(connections, 0.1) for _ in range(7)))
    assert len(set(pids)) == 3
    await pool.aclose()


async def test_one_statement_after_the_other_needs_one_connection(url: str) -> None:
    pool = HistoryPool(url)
    connections = Connections(pool)
    assert len({await backend(connections) for _ in range(5)}) == 1
    await pool.aclose()


async def test_a_cancelled_statement_does_not_give_its_answer_to_the_next(url: str) -> None:
    pool = HistoryPool(url)
    connections = Connections(pool)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(backend(connections, 30), 0.2)
    async with connections.one() as connection:
        assert connection.info.transaction_status == TransactionStatus.IDLE
        answer = await (await connection.execute("SELECT 42 AS answer")).fetchone()
    assert answer is not None
    assert answer.answer == 42
    await pool.aclose()


async def test_a_statement_that_fails_leaves_its_connection_usable(url: str) -> None:
    pool = HistoryPool(url)
    connections = Connections(pool)
    first = await backend(connections)
    with pytest.raises(psycopg.errors.UndefinedTable):
        async with connections.one() as connection:
            await connection.execute("SELECT * FROM nothing_there")
    assert await backend(connections) == first
    await pool.aclose()


async def test_a_connection_that_broke_in_use_is_not_kept(url: str, engine: sa.Engine) -> None:
    pool = HistoryPool(url)
    connections = Connections(pool)
    first = await backend(connections)
    with pytest.raises(psycopg.OperationalError):
        async with connections.one() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await backend(connections) != first
    await pool.aclose()


async def test_none_is_open_after_the_end(url: str, engine: sa.Engine) -> None:
    pool = HistoryPool(url)
    connections = Connections(pool)
    await asyncio.gather(*(backend(connections, 0.05) for _ in range(3)))
    await pool.aclose()
    for _ in range(1_000):  # servers end their processes a moment later
        if not row(engine, OPEN).backends:
            return
        await asyncio.sleep(0.01)
    pytest.fail("connections are still open")


async def test_a_server_that_is_away_is_named_with_its_reason_at_once() -> None:
    async with PostgresRecorder.open("postgresql://m:hunter2@127.0.0.1:1/mirror") as recorder:
        async with asyncio.timeout(60):
            with pytest.raises(DatabaseAway, match="Connection refused") as caught:
                await recorder.known_tags(NAME)
    assert "hunter2" not in str(caught.value)


async def test_a_connection_that_died_while_it_rested_is_replaced(
    recorder: PostgresRecorder, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.history.database.connections._RESTED", 0)
    assert await recorder.known_tags(NAME) == {}
    ended = row(
        engine,
        "SELECT count(pg_terminate_backend(pid)) AS backends FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert ended.backends == 1
    assert await recorder.known_tags(NAME) == {}


async def test_recorders_of_one_pool_stay_within_its_bound(url: str) -> None:
    async with HistoryPool.open(url, 2) as pool:
        several = [Connections(pool) for _ in range(5)]
        pids = await asyncio.gather(*(backend(each, 0.05) for each in several * 2))
    assert len(set(pids)) == 2


async def test_a_recorder_cuts_its_own_statements_and_not_those_of_others(url: str) -> None:
    async with HistoryPool.open(url, 2) as pool:
        one, other = Connections(pool), Connections(pool)
        hanging = asyncio.create_task(backend(one, 60))
        well = asyncio.create_task(backend(other, 1))
        while len(one._used) + len(other._used) < 2:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
        one.cut()
        with pytest.raises(psycopg.OperationalError):
            await hanging
        assert await well


async def test_a_server_without_free_connections_is_waited_for(
    url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.history.database.connecting._PAUSE", 0.05)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(sa.text("CREATE ROLE few LOGIN CONNECTION LIMIT 1"))
        try:
            few = url.replace("//postgres@", "//few@")
            async with HistoryPool.open(few, 1) as first, HistoryPool.open(few, 1) as second:
                await backend(Connections(first))  # kept: the only one that the role may have
                waiting = asyncio.create_task(backend(Connections(second)))
                done, _ = await asyncio.wait({waiting}, timeout=0.5)
                assert not done
                await first.aclose()
                async with asyncio.timeout(30):
                    assert await waiting
        finally:
            connection.execute(sa.text("DROP ROLE few"))
