"""Keeps the embedded PostgreSQL of `mirror up` running: started again when it is gone or frozen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg

from mirror.errors import MirrorError
from mirror.history import Cluster

LOOK_EVERY = 2.0  # seconds
ANSWER_WITHIN = 4  # seconds
FROZEN_AFTER = 6  # looks without an answer: half a minute


async def keep_postgres(cluster: Cluster, say: Callable[[str], None]) -> None:
    """Start it again whenever it is gone, and replace it when it does not answer. Never returns."""
    unanswered = 0
    while True:
        await asyncio.sleep(LOOK_EVERY)
        if await _answers(cluster):
            unanswered = 0
            continue
        unanswered += 1
        try:
            if cluster.socket_dir() is None:
                await asyncio.to_thread(cluster.start)
                say("Postgres was gone; started again")
            elif unanswered >= FROZEN_AFTER:
                await asyncio.to_thread(cluster.kill)
                await asyncio.to_thread(cluster.start)
                say("Postgres did not answer; killed and started again")
            else:
                continue
            unanswered = 0
        except MirrorError as error:  # its processes may still be ending
            say(str(error))


async def stop_postgres(cluster: Cluster) -> None:
    """Stop it, whichever process started it; kill it when it does not answer."""
    if cluster.socket_dir() is not None and not await _answers(cluster):
        await asyncio.to_thread(cluster.kill)
    await asyncio.to_thread(cluster.stop)


async def _answers(cluster: Cluster) -> bool:
    """Whether the server says anything, be it that it takes no more connections. Starts nothing."""
    folder = cluster.socket_dir()
    if folder is None:
        return False
    try:
        async with await psycopg.AsyncConnection.connect(
            cluster.conninfo_at(folder, "postgres"), connect_timeout=ANSWER_WITHIN
        ) as connection:
            async with asyncio.timeout(ANSWER_WITHIN):
                await connection.execute("SELECT 1")
    except TimeoutError:
        return False
    except psycopg.OperationalError as error:
        return "FATAL" in str(error)
    return True
