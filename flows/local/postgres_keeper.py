"""Keeps the embedded PostgreSQL of `mirror up` running: started again when it is gone or frozen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import psycopg

from mirror.errors import MirrorError
from mirror.history import Cluster, cut_connection

LOOK_EVERY = 5.0  # seconds
ANSWER_WITHIN = 4  # seconds
FROZEN_AFTER = 6  # looks without an answer: half a minute
KEPT_FOR = 3  # looks by one connection, since each costs PostgreSQL a process


async def keep_postgres(cluster: Cluster, say: Callable[[str], None]) -> None:
    """Start it again whenever it is gone, and replace it when it does not answer. Never returns."""
    async with AsyncExitStack() as stack:
        looks = _Looks(cluster)
        stack.push_async_callback(looks.close)
        await _keep(cluster, looks, say)


async def _keep(cluster: Cluster, looks: _Looks, say: Callable[[str], None]) -> None:
    unanswered, trouble = 0, ""
    while True:
        await asyncio.sleep(LOOK_EVERY)
        if await looks.answer():
            unanswered, trouble = 0, ""
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
        except MirrorError as error:  # its processes may still be ending, or its disk is full
            if str(error) != trouble:  # once, however often it is tried
                trouble = str(error)
                say(trouble)


async def stop_postgres(cluster: Cluster) -> None:
    """Stop it, whichever process started it; kill it when it does not answer."""
    if cluster.socket_dir() is not None:
        looks = _Looks(cluster)
        answers = await looks.answer()
        await looks.close()
        if not answers:
            await asyncio.to_thread(cluster.kill)
    await asyncio.to_thread(cluster.stop)


class _Looks:
    """Looks whether a server answers. Starts nothing."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._connection: psycopg.AsyncConnection | None = None
        self._left = 0

    async def answer(self) -> bool:
        """Whether the server says anything, be it that it takes no more connections."""
        self._left -= 1
        if self._connection is not None and self._left > 0 and await self._asked() is None:
            return True
        await self.close()
        error = await self._asked()
        if error is not None:
            await self.close()
        return error is None or "FATAL" in error

    async def _asked(self) -> str | None:
        """What is wrong, by the connection that is kept or by a new one."""
        try:
            if self._connection is None:
                folder = self._cluster.socket_dir()
                if folder is None:
                    return "gone"
                self._connection = await psycopg.AsyncConnection.connect(
                    self._cluster.conninfo_at(folder, "postgres"),
                    autocommit=True,
                    connect_timeout=ANSWER_WITHIN,
                )
                self._left = KEPT_FOR
            loop = asyncio.get_running_loop()
            late = loop.call_later(ANSWER_WITHIN, cut_connection, self._connection)
            try:
                await self._connection.execute("SELECT 1")
            finally:
                late.cancel()
        except psycopg.OperationalError as error:
            return str(error)
        return None

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
