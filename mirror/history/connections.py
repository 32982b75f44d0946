"""The recorder's connections: a few, kept while a run writes, each statement a transaction."""

from __future__ import annotations

import asyncio
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

Row = Any  # a named tuple of the statement's columns
_MOST: Final = 3  # statements take milliseconds, opening a connection takes ten
_RESTED: Final = 5.0  # seconds unused after which a connection may have died unseen


@dataclass(slots=True)
class _Kept:
    connection: psycopg.AsyncConnection[Row]
    since: float


class Connections:
    """Connections to one database, opened as they are needed. `aclose` ends them all."""

    def __init__(self, url: str) -> None:
        self._conninfo = conninfo(url)
        self._idle: deque[_Kept] = deque()
        self._turns = asyncio.Semaphore(_MOST)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        """A connection in autocommit, for a statement. Raises psycopg.OperationalError."""
        async with self._turns:
            connection = await self._standing()
            try:
                yield connection
            finally:
                # Another status: broken, or in the middle of an answer that nobody waits for.
                if connection.info.transaction_status == TransactionStatus.IDLE:
                    self._idle.append(_Kept(connection, time.monotonic()))
                else:
                    await connection.close()

    async def aclose(self) -> None:
        """Close every connection; none may be in use."""
        while self._idle:
            await self._idle.pop().connection.close()

    async def _standing(self) -> psycopg.AsyncConnection[Row]:
        """The connection used last, if it still stands, or a new one.

        Asking it before every statement would double the round trips of a busy run.
        """
        while self._idle:
            kept = self._idle.pop()
            if time.monotonic() - kept.since < _RESTED:
                return kept.connection
            try:
                await kept.connection.execute("SELECT 1")
            except psycopg.OperationalError:
                await kept.connection.close()  # the server has gone or was restarted meanwhile
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
            connect_timeout=10,
            application_name="mirror",
        )
