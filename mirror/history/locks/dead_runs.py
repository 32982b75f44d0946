"""Closing runs that were killed: `running` in the history, and nobody works on them any more.

A run works under its target's lock, and its holder's row names it. So a run is dead when the lock
is free, or was taken by another one after the run had started. A holder that is silent loses the
lock first (mirror.history.locks.lock_holder).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction

from mirror.history.database import HistoryError, answering
from mirror.history.locks.lock_holder import free_if_silent, open_connection
from mirror.outcome import utcnow

# They end now: when they died is unknown, and so a closed day never changes after it was rolled up.
# `held`: the caller holds the lock of the mirror, so that no run but `except_run` works on it.
CLOSE: Final = """
    WITH lock AS MATERIALIZED (
        SELECT pid, (CAST(classid AS bigint) << 32) | CAST(objid AS bigint) AS key FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ), holder AS MATERIALIZED (
        SELECT target_lock.* FROM target_lock JOIN lock ON lock.pid = backend_pid
            AND lock.key = hashtextextended('hagicode-mirror target ' || target, 0)
    ), dead AS MATERIALIZED (
        SELECT run.id, run.started_at
        FROM sync_run run
        JOIN mirror ON mirror.id = run.mirror_id
        JOIN repository ON repository.id = mirror.target_id
        WHERE run.status = 'running' AND run.id <> %(except_run)s
          AND (CAST(%(mirror)s AS integer) IS NULL OR mirror.id = %(mirror)s)
          AND NOT EXISTS (SELECT FROM holder WHERE holder.run_id = run.id)
          AND (%(held)s
               OR EXISTS (SELECT FROM holder WHERE acquired_at > run.started_at
                          AND target = registry || '/' || repository.name)
               OR NOT EXISTS (SELECT FROM lock WHERE key = hashtextextended(
                      'hagicode-mirror target ' || registry || '/' || repository.name, 0)))
    ), closed AS (
        UPDATE sync_run SET
            status = 'abandoned', reason = 'abandoned', ended_at = %(now)s,
            message = 'killed before it ended; closed by a later run',
            (tags_copied, tags_failed, bytes_copied) = (
                SELECT count(*) FILTER (WHERE tag.status = 'succeeded'),
                       count(*) FILTER (WHERE tag.status = 'failed'),
                       coalesce(sum(tag.bytes_copied), 0)
                FROM tag_sync tag
                WHERE tag.run_id = sync_run.id AND tag.run_started_at = sync_run.started_at)
        FROM dead
        WHERE sync_run.id = dead.id AND sync_run.started_at = dead.started_at
          AND sync_run.status = 'running'  -- it may have ended at this very moment
        RETURNING sync_run.id, sync_run.started_at
    ), tags AS (
        UPDATE tag_sync SET status = 'abandoned', reason = 'abandoned', ended_at = %(now)s,
            message = 'the run was killed while this tag was being copied'
        FROM closed
        WHERE run_id = closed.id AND run_started_at = closed.started_at
          AND tag_sync.status = 'running'
    )
    SELECT id FROM closed ORDER BY started_at
"""
_RUNNING = """
    SELECT DISTINCT registry || '/' || repository.name
    FROM sync_run run
    JOIN mirror ON mirror.id = run.mirror_id
    JOIN repository ON repository.id = mirror.target_id
    WHERE run.status = 'running'
"""


def close_dead_runs(url: str, at: datetime | None = None) -> tuple[str, ...]:
    """Close the runs of all mirrors that were killed, and free their locks. Returns their ids.

    A few milliseconds; some seconds where a holder is silent, which is looked at twice. One whose
    session this user may not end keeps its run; a user who can only read closes none. Raises
    DatabaseAway.
    """
    with answering(url), open_connection(url) as connection:
        targets = [target for (target,) in connection.execute(_RUNNING)]
        for target in targets:
            with suppress(HistoryError):  # of another user; a run that wants the lock says so
                free_if_silent(connection, target)
        if not targets:
            return ()
        nobody = {"mirror": None, "held": False, "except_run": UUID(int=0), "now": at or utcnow()}
        try:
            return tuple(str(row[0]) for row in connection.execute(CLOSE, nobody))
        except (InsufficientPrivilege, ReadOnlySqlTransaction):
            return ()  # a reader's login: who writes closes them
