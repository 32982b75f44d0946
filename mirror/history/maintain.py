"""Daily maintenance: create partitions ahead, roll up days, drop old months."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from mirror.history.database import HistoryError
from mirror.history.locks import close_dead_runs

AHEAD = timedelta(days=92)
KEPT_MONTHS = 13  # raw rows; the daily tables and the tags' past are kept for ever
GRACE = timedelta(hours=1)  # a record written late still counts on its day
REWRITTEN = timedelta(days=2)  # closed days that are rolled up again, in case clocks differ

_ALONE = sa.text(
    "SELECT pg_try_advisory_xact_lock(hashtextextended('hagicode-mirror maintain', 0))"
)
_MAKE = sa.text("SELECT make_partitions(:first, :last)")
_OLDEST = sa.text("""
    SELECT least((SELECT min(ended_at) FROM sync_run), (SELECT min(ended_at) FROM tag_sync),
                 (SELECT min(probed_at) FROM probe), (SELECT min(read_at) FROM quota_reading),
                 (SELECT min(started_at) FROM watch_run))
""")
_CLOSED = sa.text("SELECT until FROM closed WHERE isfinite(until)")
_ROLL_UP = sa.text("SELECT roll_up(:first, :until)")
_KEEP_PAST = sa.text("""
    INSERT INTO tag_past (mirror_id, tag, available_at, source_digest, target_digest, pushed_at,
                          detected_at, delay_seconds, delay_from, run_id)
    SELECT mirror_id, tag, available_at, source_digest, target_digest, pushed_at, detected_at,
           delay_seconds, delay_from, run_id
    FROM tag_sync
    WHERE run_started_at < :before AND status = 'succeeded' AND kind IN ('new', 'moved')
    ON CONFLICT DO NOTHING
""")
_PARTITIONED = "sync_run, tag_sync, watch_run, probe, quota_reading"
_DROP_REPORTS = sa.text("DELETE FROM hook_event WHERE received_at < :before")
_DROP = sa.text("SELECT drop_old_partitions(:before)")


@dataclass(frozen=True, slots=True)
class Maintained:
    """What maintenance did."""

    partitions_made: int
    partitions_dropped: int
    runs_closed: int
    closed_until: datetime | None  # the daily tables hold everything before


def maintain_history(engine: sa.Engine, now: datetime) -> Maintained:
    """Create partitions three months ahead, close days, drop months older than 13, tidy up.

    Call it every hour or day. Nothing breaks without it: the recorder creates the partition that it
    needs, and the views read raw rows for days that are not closed. It costs little when no day has
    ended since. Each step commits by itself and waits at most 5 s for a lock; the next call
    continues. Raises HistoryError while another one is running.
    """
    with engine.begin() as connection:
        _alone(connection)
        made = connection.scalar(_MAKE, {"first": now, "last": now + AHEAD})
    # Of mirrors that no later run will close.
    killed = close_dead_runs(engine.url.render_as_string(hide_password=False), now)
    with engine.begin() as connection:
        _alone(connection)
        closed = close_days(connection, now)
    dropped = 0
    if closed:
        with engine.begin() as connection:
            _alone(connection)
            dropped = _drop_old(connection, now)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # Autovacuum does not analyze partitioned tables themselves.
            connection.execute(sa.text(f"ANALYZE {_PARTITIONED}"))
    with engine.connect() as connection:
        until = connection.scalar(_CLOSED)
    return Maintained(made or 0, dropped, len(killed), until)


def close_days(connection: sa.Connection, now: datetime) -> bool:
    """Roll up the UTC days that ended an hour ago or earlier. False if there is none to close."""
    until = _midnight(now - GRACE)
    if (closed := connection.scalar(_CLOSED)) is not None:
        if closed >= until:
            return False
        first = closed - REWRITTEN
    elif (oldest := connection.scalar(_OLDEST)) is not None and oldest < until:
        first = _midnight(oldest)
    else:
        return False
    connection.execute(_ROLL_UP, {"first": first, "until": until})
    return True


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _alone(connection: sa.Connection) -> None:
    connection.execute(sa.text("SET LOCAL lock_timeout = '5s'"))
    if not connection.scalar(_ALONE):
        raise HistoryError("another maintenance of the history is running; wait until it ends")


def _drop_old(connection: sa.Connection, now: datetime) -> int:
    """Drop the months that ended 13 months ago or earlier; their days are closed by now."""
    month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    months = month.year * 12 + month.month - 1 - KEPT_MONTHS
    before = month.replace(year=months // 12, month=months % 12 + 1)
    connection.execute(_KEEP_PAST, {"before": before})
    connection.execute(_DROP_REPORTS, {"before": before})
    return connection.scalar(_DROP, {"before": before}) or 0
