"""The recorder's connections: at most three, kept while a run writes, one transaction a statement.

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
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row

from mirror.history.address import OPTIONS, conninfo
from mirror.history.lock import cut

Row = Any  # a named tuple of the statement's columns
_MOST: Final = 3  # statements take milliseconds, opening a connection takes ten
_RESTED: Final = 5.0  # seconds unused after which a connection is checked before use


@dataclass(slots=True)
class _Kept:
    connection: psycopg.AsyncConnection[Row]
    since: float


class Connections:
    """Connections to one database, opened when needed. `aclose` closes them all."""

    def __init__(self, url: str) -> None:
        self._conninfo = conninfo(url)
        self._idle: deque[_Kept] = deque()
        self._used: set[psycopg.AsyncConnection[Row]] = set()
        self._turns = asyncio.Semaphore(_MOST)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        """A connection in autocommit, for a statement. Raises psycopg.OperationalError."""
        async with self._turns:
            connection = await self._usable()
            self._used.add(connection)
            try:
                yield connection
            finally:
                self._used.discard(connection)
                # Any other status: broken, or cancelled in the middle of a result.
                if connection.info.transaction_status == TransactionStatus.IDLE:
                    self._idle.append(_Kept(connection, time.monotonic()))
                else:
                    await connection.close()

    async def aclose(self) -> None:
        """Close every connection; none may be in use."""
        while self._idle:
            await self._idle.pop().connection.close()

    def cut(self) -> None:
        """Cut what is in use, so that statements that wait for an answer fail at once."""
        for connection in self._used:
            cut(connection)
        for kept in self._idle:  # they would not answer either
            cut(kept.connection)
            kept.since = -math.inf  # to be checked before use

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
        return await psycopg.AsyncConnection.connect(
            self._conninfo,
            autocommit=True,
            row_factory=namedtuple_row,
            options=OPTIONS,
            application_name="mirror",
        )
