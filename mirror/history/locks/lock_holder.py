"""Who holds the lock of a target, and taking it away from a holder that is silent.

A holder beats every few seconds (lock.py). One that does not for `silent` seconds is
looked at again after `confirm` seconds: a database that was frozen itself, or a machine that slept
with it, has let the beat through by then. What has not changed is dead or cut off: exactly the
backend that holds the lock is ended, and the server frees it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from mirror.history.database import HistoryError, answering, conninfo
from mirror.units import format_floor

KEY: Final = "hashtextextended('hagicode-mirror target ' || %s, 0)"


@dataclass(frozen=True, slots=True)
class LockTimes:
    """Seconds."""

    beat: float = 5.0  # between heartbeats
    silent: float = 35.0  # unheard for so long, a holder may be dead
    confirm: float = 8.0  # then it is looked at again after this time
    patience: float = 300.0  # a holder whose beat is not answered for so long gives up


TIMES = LockTimes()


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The holder of a target's lock, as the history knows it."""

    target: str
    backend_pid: int
    token: UUID | None  # None: a program of an earlier version, which writes nothing down
    backend_start: datetime | None
    host: str | None
    pid: int | None
    run_id: UUID | None
    flow_run_id: str | None
    acquired_at: datetime | None
    beat_at: datetime | None
    silence: timedelta | None  # since the last heartbeat, by the server's clock

    @property
    def silent(self) -> bool:
        """True if it has not been heard for so long that it may be dead."""
        return is_silent(self.silence)

    def __str__(self) -> str:
        if self.token is None:
            return f"an earlier version of mirror (database process {self.backend_pid})"
        run = f"run {self.run_id}" if self.run_id else "a run"
        heard = format_floor(self.silence) if self.silence is not None else "?"
        return (
            f"{run} on {self.host}, process {self.pid}, since {self.acquired_at:%Y-%m-%d %H:%M:%S}"
            f" UTC, last heard {heard} ago"
        )


def is_silent(silence: timedelta | None) -> bool:
    """Whether a holder that has not been heard for so long may be dead."""
    return silence is not None and silence.total_seconds() > TIMES.silent


# The server's own table of locks says who holds it; ours says who that is.
HOLDER = f"""
    SELECT CAST(%(target)s AS text) AS target, held.pid AS backend_pid, token, backend_start, host,
           holder.pid, run_id, flow_run_id, acquired_at, beat_at,
           clock_timestamp() - beat_at AS silence
    FROM (SELECT {KEY.replace("%s", "CAST(%(target)s AS text)")} AS key) AS wanted
    JOIN pg_locks held ON locktype = 'advisory' AND granted AND objsubid = 1
        AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND CAST(classid AS bigint) = (key >> 32) & 4294967295
        AND CAST(objid AS bigint) = key & 4294967295
    LEFT JOIN target_lock holder
        ON holder.target = %(target)s AND holder.backend_pid = held.pid
"""  # noqa: S608 - constants
_END = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE pid = %(backend_pid)s AND backend_start = %(backend_start)s
"""


def read_holder(connection: psycopg.Connection[Any], target: str) -> LockHolder | None:
    """Who holds the lock of a target (`host[:port]/path`); None if nobody does."""
    with connection.cursor(row_factory=class_row(LockHolder)) as cursor:
        return cursor.execute(HOLDER, {"target": target}).fetchone()


def end_holder(connection: psycopg.Connection[Any], holder: LockHolder) -> bool:
    """End the backend that holds a lock; the lock is free on return. False if it was gone already.

    Its client notices at its next statement. Raises HistoryError where this user may not.
    """
    values = {"backend_pid": holder.backend_pid, "backend_start": holder.backend_start}
    try:
        return connection.execute(_END, values).fetchone() is not None
    except psycopg.errors.InsufficientPrivilege as error:
        raise HistoryError(
            f"{holder.target}: this database user may not end the session of {holder}; have an"
            f" administrator run: SELECT pg_terminate_backend({holder.backend_pid})"
        ) from error


def free_if_silent(connection: psycopg.Connection[Any], target: str) -> LockHolder | None:
    """Take the lock of a target from a holder that is silent. Blocks for some seconds then.

    Returns the holder that it was taken from; None if there is none, or one that lives.
    """
    holder = read_holder(connection, target)
    if holder is None or not holder.silent:
        return None
    time.sleep(TIMES.confirm)
    again = read_holder(connection, target)
    if again is None or (again.token, again.beat_at) != (holder.token, holder.beat_at):
        return None
    end_holder(connection, again)
    return again


def open_connection(url: str) -> psycopg.Connection[Any]:
    """A connection in autocommit to look at locks and to take them away. Raises DatabaseAway."""
    with answering(url):
        return psycopg.connect(conninfo(url), autocommit=True, application_name="mirror locks")
