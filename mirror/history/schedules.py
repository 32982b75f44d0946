"""Whether the schedules fire: watch_run and sync_run against `watch_every` and `every`.

A deployment whose runs are cancelled before they start leaves no row, so it counts as silent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

MISSED = 3  # intervals, unless alerting.missed_runs says otherwise

# Parameters: now, mirrors (names), missed. The columns are those of a rule of mirror.alerts.
# Only what was scheduled before is missed: commands run by hand or by cron have no schedule.
# Under ten minutes a restart of the server or the worker would look like silence.
LATE_SCHEDULES = sa.text("""
    WITH followed AS (
        SELECT id, name, every, watch_every FROM mirror WHERE name = ANY(:mirrors)
    ), fired AS (
        SELECT followed.*, run.last_at
        FROM followed
        CROSS JOIN LATERAL (
            SELECT coalesce(ended_at, started_at) AS last_at FROM sync_run
            WHERE sync_run.mirror_id = followed.id AND trigger = 'schedule' AND NOT dry_run
            ORDER BY started_at DESC
            LIMIT 1
        ) run
    ), watched AS (
        -- Looks that find nothing extend a row for an hour, past later rows that found something.
        SELECT max(run.ended_at) AS last_at
        FROM (SELECT started_at FROM watch_run ORDER BY started_at DESC LIMIT 1) newest
        JOIN watch_run run ON run.started_at > newest.started_at - interval '2 hours'
        HAVING count(*) > 0
    ), expected AS (
        SELECT CAST(NULL AS integer) AS mirror_id, array_agg(name ORDER BY name) AS mirrors,
               'watch' AS subject, min(watch_every) AS interval,
               min(watched.last_at) AS last_at
        FROM followed CROSS JOIN watched
        HAVING count(*) > 0
        UNION ALL
        SELECT id, ARRAY[name], 'sync', every, last_at FROM fired
    )
    SELECT mirror_id,
           mirrors,
           subject,
           last_at AS since,
           CAST('{}' AS text[]) AS tags,
           CAST(NULL AS text) AS reason,
           CAST(NULL AS text) AS error,
           CAST(NULL AS text) AS flow_run_id,
           jsonb_build_object(
               'schedule', subject,
               'every_minutes', round(extract(epoch FROM interval) / 60, 2),
               'silent_minutes', round(extract(epoch FROM CAST(:now AS timestamptz) - last_at) / 60)
           ) AS facts
    FROM expected
    WHERE last_at + greatest(:missed * interval, interval '10 minutes') < :now
        AND NOT EXISTS (  -- a run that still copies tags keeps the next ones from starting
            SELECT FROM sync_run run
            JOIN tag_sync tag ON tag.run_id = run.id AND tag.run_started_at = run.started_at
            WHERE run.mirror_id = expected.mirror_id AND run.status = 'running'
                AND tag.status = 'succeeded'
                AND tag.ended_at > CAST(:now AS timestamptz) - expected.interval
        )
    ORDER BY mirror_id NULLS FIRST
""")


@dataclass(frozen=True, slots=True)
class LateSchedule:
    """A schedule that has been silent for several of its intervals."""

    schedule: str  # watch: of all mirrors; sync: of one
    mirrors: tuple[str, ...]
    last_at: datetime  # when its last run ended
    every: timedelta

    def line(self, now: datetime) -> str:
        """One line: which schedule, since when, what to do."""
        what = "the watch" if self.schedule == "watch" else f"the sync of {self.mirrors[0]}"
        minutes = round((now - self.last_at).total_seconds() / 60)
        every = round(self.every.total_seconds() / 60, 1)
        return (
            f"{what} has not run for {minutes} min, scheduled every {every:g} min: check that"
            " Prefect's server and worker run, and whether its runs are cancelled"
        )


def read_late_schedules(
    engine: sa.Engine, mirrors: Collection[str], now: datetime, missed: int = MISSED
) -> tuple[LateSchedule, ...]:
    """The schedules of these mirrors that have not fired for `missed` intervals."""
    values = {"mirrors": list(mirrors), "now": now, "missed": missed}
    with engine.connect() as connection:
        return tuple(
            LateSchedule(
                row.subject,
                tuple(row.mirrors),
                row.since,
                timedelta(minutes=float(row.facts["every_minutes"])),
            )
            for row in connection.execute(LATE_SCHEDULES, values)
        )
