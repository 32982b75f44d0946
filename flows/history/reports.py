"""Reading the record: how each mirror stands now, and how it did over a time.

Every query reads daily figures for whole days and raw rows for the rest (migrations/sql/since.sql),
so that it takes as long on years of history as on a week.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from flows.history import figures as f
from flows.history.engine import reachable
from flows.history.errors import UnknownMirror
from flows.outcome import utcnow

EXACT_UP_TO = 20_000  # delays sorted one by one; more come from the daily figures
RECENT_RUNS = 20
TOP_FAILURES = 20
# A window this long begins at midnight: half a day more or less says nothing over months, and the
# raw rows of its first day may be gone.
LONG_WINDOW = timedelta(days=60)
FAILURES_OF = timedelta(days=30)  # single failures of longer ago are for SQL

_STATUS = sa.text("""
    SELECT mirror.id, fresh.mirror,
           source.registry || '/' || source.name AS source,
           target.registry || '/' || target.name AS target,
           mirror.every, mirror.delay_goal, tags, tags_in_sync, tags_behind, tags_failing,
           tags_held, tags_gone, oldest_lag_seconds, last_arrival_at, last_success_at
    FROM report_freshness fresh
    JOIN mirror ON mirror.name = fresh.mirror
    JOIN repository source ON source.id = source_id
    JOIN repository target ON target.id = target_id
    WHERE CAST(:mirror AS text) IS NULL OR fresh.mirror = :mirror
    ORDER BY fresh.mirror
""")
_RUNS = sa.text("""
    SELECT ids.mirror_id, recent.*
    FROM unnest(CAST(:ids AS integer[])) AS ids (mirror_id)
    CROSS JOIN LATERAL (
        SELECT id::text, started_at, ended_at, status, trigger, complete, dry_run, tags_discovered,
               tags_changed, tags_copied, tags_failed, bytes_copied, requests_source,
               requests_target, seconds_total, reason, message, flow_run_id
        FROM sync_run WHERE sync_run.mirror_id = ids.mirror_id
        ORDER BY started_at DESC LIMIT :limit
    ) recent
""")
_FAILING = sa.text("""
    SELECT ids.mirror_id, failing.*
    FROM unnest(CAST(:ids AS integer[])) AS ids (mirror_id)
    CROSS JOIN LATERAL (
        SELECT tag, attempts, failed_since, next_attempt_at, reason, message
        FROM tag_state
        WHERE tag_state.mirror_id = ids.mirror_id AND attempts > 0 AND gone_at IS NULL
        ORDER BY failed_since, tag LIMIT :limit
    ) failing
""")
_LEFT_OUT = sa.text("""
    SELECT mirror_id, part ->> 'reason', count(DISTINCT tag)
    FROM tag_state CROSS JOIN jsonb_array_elements(dropped) AS part
    WHERE mirror_id = ANY(:ids) AND dropped IS NOT NULL AND gone_at IS NULL
    GROUP BY mirror_id, part ->> 'reason'
    ORDER BY mirror_id, part ->> 'reason'
""")
_DAILY_RUNS = sa.text("SELECT * FROM runs_since(:since) WHERE mirror_id = ANY(:ids) ORDER BY day")
_DAILY_TAGS = sa.text("SELECT * FROM tags_since(:since) WHERE mirror_id = ANY(:ids) ORDER BY day")
_DELAYS = sa.text("""
    SELECT mirror_id, count(*) AS samples,
           percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY delay_seconds) AS points
    FROM tag_sync
    WHERE ended_at >= :since AND run_started_at >= CAST(:since AS timestamptz) - interval '7 days'
      AND delay_seconds IS NOT NULL AND mirror_id = ANY(:ids)
    GROUP BY mirror_id
""")
_BUCKETS = sa.text("""
    SELECT mirror_id, bucket, sum(tags)::bigint AS tags
    FROM delays_since(:since) WHERE mirror_id = ANY(:ids)
    GROUP BY mirror_id, bucket ORDER BY bucket
""")
_FAILURES = sa.text("""
    WITH failure AS MATERIALIZED (
        SELECT * FROM failures_since(:since) WHERE mirror_id = ANY(:ids)
    ), counted AS (
        SELECT mirror_id, scope, tag, reason, sum(failures)::bigint AS failures,
               max(last_at) AS last_at,
               row_number() OVER (PARTITION BY mirror_id
                                  ORDER BY sum(failures) DESC, max(last_at) DESC, tag) AS place
        FROM failure GROUP BY mirror_id, scope, tag, reason
    )
    SELECT mirror_id, tag, reason, counted.failures, last_at, last_run::text, last_message
    FROM counted JOIN failure USING (mirror_id, scope, tag, reason, last_at)
    WHERE place <= :limit ORDER BY mirror_id, place
""")
_PULLS = sa.text("""
    SELECT mirror_id, sum(target_pulls)::bigint, sum(target_failed)::bigint,
           sum(source_pulls)::bigint, sum(source_failed)::bigint, sum(pairs)::bigint,
           sum(target_bytes)::bigint, sum(target_seconds), sum(source_bytes)::bigint,
           sum(source_seconds)
    FROM probes_since(:since) WHERE mirror_id = ANY(:ids) GROUP BY mirror_id
""")
_ADOPTION = sa.text("""
    SELECT mirror, count(*), sum(target_pulls)::bigint, sum(source_pulls)::bigint
    FROM report_adoption
    WHERE share IS NOT NULL AND day >= CAST(:since AS timestamptz)::date GROUP BY mirror
""")
_QUOTAS = sa.text("""
    SELECT registry, nullif(account, ''), sum(readings)::bigint, max(quota), min(least_remaining)
    FROM quotas_since(:since) GROUP BY registry, account ORDER BY registry, account
""")


def status(engine: sa.Engine, mirror: str | None = None) -> tuple[f.MirrorStatus, ...]:
    """Each mirror now, or the one of that name, by name.

    Raises UnknownMirror, DatabaseAway.
    """
    with reachable(_url(engine)), engine.connect() as connection:
        return tuple(now for _, now in _statuses(connection, mirror))


def report(
    engine: sa.Engine,
    since: datetime | timedelta | None = timedelta(days=7),
    mirror: str | None = None,
    now: datetime | None = None,
) -> f.Report:
    """How each mirror, or the one of that name, did from a moment, or for a time until now.

    since None is as far as the record goes. A window of more than 60 days begins at a UTC midnight,
    and any report lists failures of the last 30 days at most.
    Raises UnknownMirror, DatabaseAway.
    """
    until = now or utcnow()
    begin = until - since if isinstance(since, timedelta) else since
    if begin is not None and until - begin > LONG_WINDOW:
        begin = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with reachable(_url(engine)), engine.connect() as connection:
        statuses = dict(_statuses(connection, mirror))
        values = {"since": begin or "-infinity", "ids": list(statuses)}
        reports = {key: f.MirrorReport(now) for key, now in statuses.items()}
        runs = _by_mirror(connection.execute(_DAILY_RUNS, values))
        tags = _by_mirror(connection.execute(_DAILY_TAGS, values))
        delays = _percentiles(connection, values, tags)
        lately = max(begin, until - FAILURES_OF) if begin else until - FAILURES_OF
        top = {**values, "since": lately, "limit": TOP_FAILURES}
        failures = _by_mirror(connection.execute(_FAILURES, top))
        recent = _by_mirror(connection.execute(_RUNS, {**values, "limit": RECENT_RUNS}))
        pulls = {row[0]: f.Pulls(*row[1:]) for row in connection.execute(_PULLS, values)}
        adoption = {row[0]: f.Adoption(*row[1:]) for row in connection.execute(_ADOPTION, values)}
        quotas = tuple(f.Quota(*row) for row in connection.execute(_QUOTAS, values))
        for key, empty in reports.items():
            reports[key] = replace(
                empty,
                runs=_runs(runs[key]),
                tags=_tags(tags[key]),
                delay=delays.get(key, f.Delay()),
                traffic=_traffic(runs[key]),
                pulls=pulls.get(key, f.Pulls()),
                adoption=adoption.get(empty.mirror, f.Adoption()),
                failures=tuple(map(_failure, failures[key])),
                days=_days(runs[key], tags[key]),
                recent_runs=tuple(f.Run(*row[1:]) for row in recent[key]),
            )
    return f.Report(begin, until, tuple(reports.values()), quotas)


Rows = Sequence[Row[Any]]


def _statuses(connection: sa.Connection, mirror: str | None) -> list[tuple[int, f.MirrorStatus]]:
    rows = connection.execute(_STATUS, {"mirror": mirror}).all()
    if mirror is not None and not rows:
        raise UnknownMirror(mirror)
    ids = [row.id for row in rows]
    last = _by_mirror(connection.execute(_RUNS, {"ids": ids, "limit": 1}))
    failing = _by_mirror(connection.execute(_FAILING, {"ids": ids, "limit": TOP_FAILURES}))
    left_out = _by_mirror(connection.execute(_LEFT_OUT, {"ids": ids}))
    return [
        (
            row.id,
            f.MirrorStatus(
                mirror=row.mirror,
                source=row.source,
                target=row.target,
                every=row.every,
                delay_goal=row.delay_goal,
                tags=row.tags,
                in_sync=row.tags_in_sync,
                behind=row.tags_behind,
                failing=row.tags_failing,
                held=row.tags_held,
                gone=row.tags_gone,
                oldest_lag=_seconds(row.oldest_lag_seconds),
                last_arrival_at=row.last_arrival_at,
                last_success_at=row.last_success_at,
                last_run=f.Run(*last[row.id][0][1:]) if last[row.id] else None,
                failing_tags=tuple(f.FailingTag(*tag[1:]) for tag in failing[row.id]),
                left_out=tuple(f.LeftOut(*part[1:]) for part in left_out[row.id]),
            ),
        )
        for row in rows
    ]


def _percentiles(
    connection: sa.Connection, values: dict[str, Any], tags: dict[int, Rows]
) -> dict[int, f.Delay]:
    """Delays by mirror: from each single one if all are there and few, else from daily figures."""
    totals = {key: total for key, rows in tags.items() if (total := _delay(rows)).samples}
    samples = sum(total.samples for total in totals.values())
    if samples <= EXACT_UP_TO:
        found = {row.mirror_id: row for row in connection.execute(_DELAYS, values)}
        if sum(row.samples for row in found.values()) == samples:
            return {
                key: replace(total, p50=points[0], p95=points[1], p99=points[2])
                for key, total in totals.items()
                for points in [found[key].points]
            }
    buckets = _by_mirror(connection.execute(_BUCKETS, values))
    return {
        key: replace(
            total,
            p50=_of_buckets(buckets[key], 0.5),
            p95=_of_buckets(buckets[key], 0.95),
            p99=_of_buckets(buckets[key], 0.99),
            exact=False,
        )
        for key, total in totals.items()
    }


def _of_buckets(rows: Rows, point: float) -> float | None:
    """A percentile in seconds, from counts by bucket: bucket n ends at 1.05^n seconds."""
    wanted = point * sum(row.tags for row in rows)
    reached = 0
    for row in rows:
        reached += row.tags
        if reached >= wanted:
            return float(1.05 ** (row.bucket - 0.5))
    return None


def _by_mirror(rows: Iterable[Row[Any]]) -> dict[int, Rows]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return defaultdict(list, found)


def _runs(rows: Rows) -> f.Runs:
    return f.Runs(
        sum(row.succeeded for row in rows),
        sum(row.partial for row in rows),
        sum(row.failed for row in rows),
        sum(row.abandoned for row in rows),
    )


def _traffic(rows: Rows) -> f.Traffic:
    return f.Traffic(
        sum(row.bytes_copied for row in rows),
        sum(row.requests_source for row in rows),
        sum(row.requests_target for row in rows),
        sum(row.blobs_copied for row in rows),
        sum(row.blobs_mounted for row in rows),
        sum(row.blobs_reused for row in rows),
        sum(row.seconds for row in rows),
    )


def _tags(rows: Rows) -> f.Tags:
    return f.Tags(
        sum(row.succeeded for row in rows),
        sum(row.failed for row in rows),
        sum(row.abandoned for row in rows),
        sum(row.retried for row in rows),
    )


def _delay(rows: Rows) -> f.Delay:
    return f.Delay(
        sum(row.delays for row in rows),
        sum(row.delays_in_goal for row in rows),
        sum(row.delays_detected for row in rows),
        sum(row.delays_followed for row in rows),
        max=max((row.delay_max for row in rows if row.delay_max is not None), default=None),
    )


def _days(runs: Rows, tags: Rows) -> tuple[f.Day, ...]:
    """By day, from the columns of daily_run and daily_tag as they stand: years of days are many."""
    by_day: dict[Any, f.Day] = {}
    for row in runs:
        by_day[row[1]] = f.Day(row[1], f.Runs(*row[2:6]), traffic=f.Traffic(*row[6:13]))
    for row in tags:
        told, delay = f.Tags(*row[2:6]), f.Delay(*row[6:14])
        there = by_day.get(row[1], f.Day(row[1]))
        by_day[row[1]] = f.Day(row[1], there.runs, told, delay, there.traffic)
    return tuple(by_day[day] for day in sorted(by_day))


def _failure(row: Row[Any]) -> f.Failure:
    return f.Failure(
        row.tag or None, row.reason, row.failures, row.last_at, row.last_run, row.last_message
    )


def _seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def _url(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)
