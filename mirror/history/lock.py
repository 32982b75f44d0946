"""One run per target: a session advisory lock on a connection of its own.

PostgreSQL frees it when that connection ends, however the process ends, so a killed run never
stands in the way. The connection is in autocommit: nothing idles in a transaction for the hours
that a copy may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg

from mirror.history.errors import LockLost

KEY = "hashtextextended('hagicode-mirror target ' || %s, 0)"
_TRY = f"SELECT pg_try_advisory_lock({KEY})"
_UNLOCK = f"SELECT pg_advisory_unlock({KEY})"
_LOOK_EVERY = 10.0  # seconds
T = TypeVar("T")


@dataclass(slots=True)
class TargetLock:
    """The lock of one target, held from acquire to release."""

    target: str
    connection: psycopg.AsyncConnection
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def acquire(cls, conninfo: str, target: str) -> TargetLock | None:
        """Take the lock, or return None where another connection holds it."""
        connection = await psycopg.AsyncConnection.connect(
            conninfo,
            autocommit=True,
            connect_timeout=10,
            application_name=f"mirror lock {target}"[:63],
            # A dead network is noticed by both sides within a minute, not after two hours.
            keepalives_idle=20,
            keepalives_interval=10,
            keepalives_count=3,
        )
        try:
            row = await (await connection.execute(_TRY, [target])).fetchone()
        except BaseException:
            await connection.close()
            raise
        if row is None or not row[0]:
            await connection.close()
            return None
        return cls(target, connection)

    async def check(self) -> None:
        """Raise LockLost if the connection has died, and the lock with it. One round trip."""
        try:
            async with self._turn:
                await self.connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            raise LockLost(self.target) from error

    async def hold(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work under the lock, looking every few seconds whether it still holds.

        Raises LockLost when it does not; the work is cancelled then.
        """
        working = asyncio.create_task(work)
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done() and not working.done():
                await watching
            return await working
        finally:
            for task in (working, watching):
                task.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            await self.check()

    async def release(self) -> None:
        """Give the lock back. Nothing happens if it is lost already."""
        try:
            async with self._turn:
                await self.connection.execute(_UNLOCK, [self.target])
        except psycopg.OperationalError:
            return  # the server freed it when the connection died
        finally:
            await self.connection.close()
