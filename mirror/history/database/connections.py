"""The recorder's connections: a few, kept while runs write, one transaction a statement.

Those of one process come from one pool, so that their number does not grow with the mirrors.

Not psycopg_pool: it opens one connection at a time (a sync starts with three statements at once),
its check is a round trip before every statement (0.4 ms become 1), and where the server is away it
raises a timeout after its whole patience, without the reason that the server gave.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row

from mirror.history.database.address import OPTIONS, conninfo
from mirror.history.database.connecting import connect, cut_connection

Row = Any  # a named tuple of the statement's columns
CONNECTIONS: Final = 3  # statements take milliseconds, opening a connection takes ten
_RESTED: Final = 5.0  # seconds unused after which a connection is checked before use


@dataclass(slots=True)
class _Kept:
    connection: psycopg.AsyncConnection[Row]
    since: float


class HistoryPool:
    """Connections to one database, opened when needed and kept. `aclose` closes them all."""

    def __init__(self, url: str, most: int = CONNECTIONS) -> None:
        """At most so many connections at once; further statements wait for their turn."""
        self.url = url
        self._conninfo = conninfo(url)
        self._idle: deque[_Kept] = deque()
        self._turns = asyncio.Semaphore(most)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, most: int) -> AsyncIterator[Self]:
        """A pool that is closed on exit, when none of its connections may be in use."""
        pool = cls(url, most)
        try:
            yield pool
        finally:
            await pool.aclose()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        """A connection in autocommit, for a statement. Raises psycopg.OperationalError."""
        async with self._turns:
            connection = await self._usable()
            try:
                yield connection
            finally:
                # Any other status: broken, or cancelled in the middle of a result.
                if connection.info.transaction_status == TransactionStatus.IDLE:
                    self._idle.append(_Kept(connection, time.monotonic()))
                else:
                    await connection.close()

    async def _usable(self) -> psycopg.AsyncConnection[Row]:
        """The connection used last, if it still works, or a new one.

        Checking it before every statement would double the round trips of a busy run.
        """
        while self._idle:
            kept = self._idle.pop()
            if time.monotonic() - kept.since < _RESTED:
                return kept.connection
            try:
                await kept.connection.execute("SELECT 1")
            except psycopg.OperationalError:
                await kept.connection.close()  # the server stopped or restarted meanwhile
            except BaseException:
                await kept.connection.close()
                raise
            else:
                return kept.connection
        return await connect(
            self._conninfo,
            autocommit=True,
            row_factory=namedtuple_row,
            options=OPTIONS,
            application_name="mirror",
        )

    async def aclose(self) -> None:
        """Close every connection; none may be in use."""
        while self._idle:
            await self._idle.pop().connection.close()

    def cut_idle(self) -> None:
        """Cut what is not in use: the server does not answer there either."""
        for kept in self._idle:
            cut_connection(kept.connection)
            kept.since = -math.inf  # to be checked before use


class Connections:
    """What one recorder uses of a pool."""

    def __init__(self, pool: HistoryPool) -> None:
        self.pool = pool
        self._used: set[psycopg.AsyncConnection[Row]] = set()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        """A connection in autocommit, for a statement. Raises psycopg.OperationalError."""
        async with self.pool.one() as connection:
            self._used.add(connection)
            try:
                yield connection
            finally:
                self._used.discard(connection)

    def cut(self) -> None:
        """Cut what this recorder uses, so that statements that wait for an answer fail at once."""
        for connection in self._used:
            cut_connection(connection)
        self.pool.cut_idle()
