"""One run per target: a session advisory lock on a separate connection.

PostgreSQL frees it when that connection ends, however the process ends, so a killed run never
blocks the next. The connection is in autocommit, so that it does not idle in a transaction for the
hours that a copy may take.
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
_CHECK_EVERY = 10.0  # seconds
T = TypeVar("T")


@dataclass(slots=True)
class TargetLock:
    """The lock of one target, held from acquire to release."""

    target: str
    connection: psycopg.AsyncConnection
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def acquire(cls, conninfo: str, target: str) -> TargetLock | None:
        """Take the lock; None if another connection holds it."""
        connection = await psycopg.AsyncConnection.connect(
            conninfo,
            autocommit=True,
            connect_timeout=10,
            application_name=f"mirror lock {target}"[:63],
            # Both sides notice a dead network within a minute, not after two hours.
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
        """Raise LockLost if the connection, and the lock with it, is lost. One round trip."""
        try:
            async with self._turn:
                await self.connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            raise LockLost(self.target) from error

    async def hold(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work under the lock, checking every few seconds that it is still held.

        Raises LockLost if it is lost; the work is cancelled then.
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
            await asyncio.sleep(_CHECK_EVERY)
            await self.check()

    async def release(self) -> None:
        """Release the lock. Does nothing if it is lost already."""
        try:
            async with self._turn:
                await self.connection.execute(_UNLOCK, [self.target])
        except psycopg.OperationalError:
            return  # the server freed it when the connection broke
        finally:
            await self.connection.close()
