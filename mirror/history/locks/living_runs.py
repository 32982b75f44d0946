"""Which flow runs are alive. Each holds a session of the history's server, named after it.

The session answers every few seconds and ends with its process. So a run whose session is missing
is dead, and one whose session is silent is frozen or cut off; nothing has to be
written, and nothing is left behind. The same session holds an advisory lock on what the run does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import psycopg

from mirror.history.database import AlreadyRunning, HistoryPool, answering, conninfo

T = TypeVar("T")
BEAT = 5.0  # seconds between two signs of life
SILENT = 30.0  # seconds without one after which a run counts as frozen
_RECONNECT: Final = 1.0
_NAME: Final = "mirror run "
_TAKE: Final = (
    "SELECT pg_try_advisory_lock(hashtextextended('hagicode-mirror work ' || %(work)s, 0))"
)
# The lock of a process that is frozen: its session answers for nobody. Sessions of other roles
# show no state_change and cannot be ended by this one.
_EVICT: Final = """
    SELECT count(pg_terminate_backend(activity.pid))
    FROM pg_locks AS held JOIN pg_stat_activity AS activity USING (pid)
    WHERE held.locktype = 'advisory' AND held.granted AND held.objsubid = 1
      AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND ((held.classid::bigint << 32) | held.objid::bigint)
          = hashtextextended('hagicode-mirror work ' || %(work)s, 0)
      AND activity.state_change < clock_timestamp() - make_interval(secs => %(silent)s)
"""
_LIVING: Final = """
    SELECT application_name,
           coalesce(state_change < clock_timestamp() - make_interval(secs => %(silent)s), false)
    FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, %(name)s)
"""


@dataclass(frozen=True, slots=True)
class LivingRuns:
    """Flow runs by id, as their sessions show them."""

    alive: frozenset[str]
    frozen: frozenset[str]  # their process has not answered for a while


async def find_living_runs(url: str) -> LivingRuns:
    """The flow runs that hold a session of this history. Raises DatabaseAway."""
    connections = HistoryPool(url, 1)
    try:
        return await find_living_runs_with(connections)
    finally:
        await connections.aclose()


async def find_living_runs_with(connections: HistoryPool) -> LivingRuns:
    """The same by a connection that is kept, for those that look again and again."""
    values = {"silent": SILENT, "name": _NAME}
    with answering(connections.url):
        async with connections.one() as connection:
            rows = await (await connection.execute(_LIVING, values)).fetchall()
    runs = {name.removeprefix(_NAME): silent for name, silent in rows}
    frozen = frozenset(run for run, silent in runs.items() if silent)
    return LivingRuns(frozenset(runs) - frozen, frozen)


async def end_session(url: str, run: str) -> None:
    """End the session of a frozen run, and with it its locks. Raises DatabaseAway."""
    with answering(url):
        async with await psycopg.AsyncConnection.connect(
            conninfo(url), autocommit=True, connect_timeout=10
        ) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = %s",
                [_NAME + run],
            )


async def as_living_run(url: str, run: str, work: str | None, main: Coroutine[Any, Any, T]) -> T:
    """Do `main` as the flow run `run`, seen to be alive while it lasts.

    `work` is what it does, such as "watch": one run does it at a time, None: any number. A session
    that breaks is replaced while `main` goes on.

    Raises AlreadyRunning when another run does that work, or took it over while the session was
    broken (main is cancelled then), and DatabaseAway.
    """
    try:
        with answering(url):
            session = await _open(url, run, work)
    except BaseException:
        main.close()
        raise
    working = asyncio.ensure_future(main)
    beating = asyncio.ensure_future(_beat(session, url, run, work))
    try:
        await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
        if beating.done() and not working.done():
            await beating
        return await working
    finally:
        for task in (working, beating):
            task.cancel()
        await asyncio.gather(working, beating, return_exceptions=True)


async def _open(url: str, run: str, work: str | None) -> psycopg.AsyncConnection:
    connection = await psycopg.AsyncConnection.connect(
        conninfo(url),
        autocommit=True,
        connect_timeout=10,
        application_name=_NAME + run,
        # Either side notices within a minute that the other one's host is gone.
        options="-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5"
        " -c tcp_keepalives_count=3 -c tcp_user_timeout=30000",
        keepalives_idle=15,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=30000,
    )
    try:
        if work is not None and not await _take(connection, work):
            raise AlreadyRunning(work)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _take(connection: psycopg.AsyncConnection, work: str) -> bool:
    values = {"work": work, "silent": SILENT}
    for query in (_TAKE, _EVICT, _TAKE, _TAKE):
        row = await (await connection.execute(query, values)).fetchone()
        found = row is not None and row[0]
        if query is _EVICT:
            if not found:
                return False
            await asyncio.sleep(0.2)  # an ended session frees its locks soon
        elif found:
            return True
    return False


async def _beat(session: psycopg.AsyncConnection, url: str, run: str, work: str | None) -> None:
    """Answer for the run until cancelled. Raises AlreadyRunning."""
    current: psycopg.AsyncConnection | None = session
    try:
        while True:
            await asyncio.sleep(_RECONNECT if current is None else BEAT)
            if current is None:
                with suppress(psycopg.OperationalError):  # away: tried again until main ends
                    current = await _open(url, run, work)
                continue
            try:
                await current.execute("SELECT 1")
            except psycopg.OperationalError:
                await current.close()
                current = None
    finally:
        if current is not None:
            await current.close()
