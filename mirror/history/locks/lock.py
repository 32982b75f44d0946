"""One run per target: a session advisory lock on a separate connection, and a heartbeat.

PostgreSQL frees the lock when that connection ends, however the process ends, so a killed run never
blocks the next. What PostgreSQL can't see, a machine that is gone or a process that is frozen,
shows in the holder's heartbeat (`target_lock`): a holder that is silent loses the lock to the next
run (lock_holder.py). One that comes back notices before it writes: it asks before each
tag, and the history refuses its token (`holds` in the migrations).

The connection is in autocommit, so that it does not idle in a transaction for the hours that a copy
may take.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg

from mirror.history.database import OPTIONS, LockLost, connect, cut_connection
from mirror.history.locks import lock_holder
from mirror.history.locks.lock_holder import KEY, free_if_silent, open_connection

# The row is written in the same statement. A heartbeat need not survive a crash of the server: the
# lock does not either.
_TRY = f"""
    WITH lock AS MATERIALIZED (
        SELECT pg_try_advisory_lock({KEY.replace("%s", "CAST(%(target)s AS text)")}) AS mine
    )
    INSERT INTO target_lock (target, token, host, pid, backend_pid, backend_start, acquired_at,
                             beat_at)
    SELECT %(target)s, %(token)s, %(host)s, %(pid)s, activity.pid, activity.backend_start,
           clock_timestamp(), clock_timestamp()
    FROM lock, pg_stat_activity activity
    WHERE mine AND activity.pid = pg_backend_pid()
    ON CONFLICT (target) DO UPDATE SET
        token = excluded.token, host = excluded.host, pid = excluded.pid,
        backend_pid = excluded.backend_pid, backend_start = excluded.backend_start,
        acquired_at = excluded.acquired_at, beat_at = excluded.beat_at,
        run_id = NULL, flow_run_id = NULL
    RETURNING token
"""  # noqa: S608 - constants
_OPTIONS = f"{OPTIONS} -c synchronous_commit=off"
_BEAT = "UPDATE target_lock SET beat_at = clock_timestamp() WHERE token = %(token)s RETURNING token"
_UNLOCK = f"""
    WITH freed AS (DELETE FROM target_lock WHERE token = %(token)s)
    SELECT pg_advisory_unlock({KEY.replace("%s", "CAST(%(target)s AS text)")})
"""  # noqa: S608 - constants
_JUST_NOW = 1.0  # seconds: a lock that was confirmed then is not asked for again
_RELEASE_PATIENCE = 10.0  # seconds
T = TypeVar("T")


def _now() -> float:
    """Seconds on a clock that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass(slots=True)
class TargetLock:
    """The lock of one target, held from acquire to release."""

    target: str
    connection: psycopg.AsyncConnection
    token: UUID
    give_up: Callable[[], None] = lambda: None
    """Called when the lock is lost, so that nothing that hangs on the database goes on."""
    _confirmed_at: float = field(default_factory=_now)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def acquire(
        cls, url: str, conninfo: str, target: str, give_up: Callable[[], None] = lambda: None
    ) -> TargetLock | None:
        """Take the lock, also from a holder that is silent; None if another one holds it."""
        if lock := await cls._try(conninfo, target, give_up):
            return lock
        if await asyncio.to_thread(_free, url, target) is None:
            return None
        return await cls._try(conninfo, target, give_up)

    @classmethod
    async def _try(
        cls, conninfo: str, target: str, give_up: Callable[[], None]
    ) -> TargetLock | None:
        connection = await connect(
            conninfo,
            autocommit=True,
            application_name=f"mirror lock {target}"[:63],
            options=_OPTIONS,
        )
        token, asked_at = uuid4(), _now()
        holder = {
            "target": target,
            "token": token,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        try:
            row = await (await connection.execute(_TRY, holder)).fetchone()
        except BaseException:
            await connection.close()
            raise
        if row is None:
            await connection.close()
            return None
        return cls(target, connection, token, give_up, asked_at)

    async def check(self) -> None:
        """Raise LockLost if the lock is not held any more. Call it before each write.

        A round trip, unless it was confirmed within the last second. Waits while the database does
        not answer: frozen itself, it has given the lock to nobody.
        """
        if _now() - self._confirmed_at > _JUST_NOW:
            await self._beat()

    async def hold(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work under the lock, beating every few seconds.

        Raises LockLost if it is lost; the work is cancelled then.
        """
        working = asyncio.create_task(work)
        beating = asyncio.create_task(self._keep_beating())
        try:
            await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
            if beating.done() and not working.done():
                self.give_up()
                await beating
            return await working
        finally:
            for task in (working, beating):
                task.cancel()
            await asyncio.gather(working, beating, return_exceptions=True)

    async def release(self) -> None:
        """Release the lock. Does nothing if it is lost already."""
        try:
            await self._execute(_UNLOCK, _RELEASE_PATIENCE)
        except psycopg.OperationalError:
            return  # the server frees it with the connection
        finally:
            await self.connection.close()

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(lock_holder.TIMES.beat)
            await self._beat()

    async def _beat(self) -> None:
        asked_at = _now()
        try:
            found = await self._execute(_BEAT, lock_holder.TIMES.patience)
        except psycopg.OperationalError as error:
            raise LockLost(self.target) from error
        if found is None:
            raise LockLost(self.target)
        self._confirmed_at = max(self._confirmed_at, asked_at)

    async def _execute(self, statement: str, patience: float) -> Any:
        """The statement's first row. Raises OperationalError, also without an answer in time."""
        asking = asyncio.create_task(self._ask(statement))
        asking.add_done_callback(_ignore)  # of a caller that was cancelled
        # Cancelling a statement waits for the server, which may never answer: cut the connection.
        if asking not in (await asyncio.wait({asking}, timeout=patience))[0]:
            cut_connection(self.connection)
        return await asking

    async def _ask(self, statement: str) -> Any:
        async with self._turn:
            values: Mapping[str, Any] = {"target": self.target, "token": self.token}
            return await (await self.connection.execute(statement, values)).fetchone()


def _free(url: str, target: str) -> object:
    with open_connection(url) as connection:
        return free_if_silent(connection, target)


def _ignore(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
