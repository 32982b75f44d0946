"""Reading the history: the status of each mirror now, and its figures over a time.

Every query reads daily figures for whole days and raw rows for the rest (since.sql of the
migrations), so that it takes as long on years of history as on a week.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from mirror.history import figures as f, report_queries as sql
from mirror.history.engine import reachable
from mirror.history.errors import UnknownMirror
from mirror.outcome import utcnow

EXACT_UP_TO = 2_000  # delays sorted one by one; more come from the daily figures
RECENT_RUNS = 20
TOP_FAILURES = 20
# A window this long starts at midnight: its first day is then read from the daily figures, which
# takes half as long as from the rows, and which outlive them.
LONG_WINDOW = timedelta(days=3)
FAILURES_OF = timedelta(days=30)  # earlier failures are for SQL

Rows = Sequence[Row[Any]]


def read_status(engine: sa.Engine, mirror: str | None = None) -> tuple[f.MirrorStatus, ...]:
    """Each mirror now, or the one of that name, by name.

    Raises UnknownMirror, DatabaseAway.
    """
    with reachable(_url(engine)), engine.connect() as connection:
        return tuple(now for _, now in _statuses(connection, mirror))


def read_report(
    engine: sa.Engine,
    since: datetime | timedelta | None = timedelta(days=7),
    mirror: str | None = None,
    now: datetime | None = None,
) -> f.Report:
    """The figures of each mirror, or of the one of that name, since a time or for a time until now.

    since None is since the history began. A window of 3 days or more starts at a UTC midnight, and
    any report lists failures of the last 30 days at most.
    Raises UnknownMirror, DatabaseAway.
    """
    until = now or utcnow()
    begin = until - since if isinstance(since, timedelta) else since
    if begin is not None and until - begin >= LONG_WINDOW:
        begin = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with reachable(_url(engine)), ThreadPoolExecutor(1) as executor:
        with engine.connect() as connection:
            statuses = dict(_statuses(connection, mirror))
        values = {"since": begin or "-infinity", "ids": list(statuses)}
        lately = max(begin, until - FAILURES_OF) if begin else until - FAILURES_OF
        top = {**values, "since": lately, "limit": TOP_FAILURES}
        # Two halves of about the same length, each on a separate connection.
        rest = executor.submit(
            _results,
            engine,
            (sql.FAILURES, top),
            (sql.RUNS, {**values, "limit": RECENT_RUNS}),
            (sql.PULLS, values),
            (sql.ADOPTION, values),
            (sql.QUOTAS, values),
        )
        with engine.connect() as connection:
            runs = _by_mirror(connection.execute(sql.DAILY_RUNS, values).all())
            tags = _by_mirror(connection.execute(sql.DAILY_TAGS, values).all())
            delays = _percentiles(connection, values, tags)
        failed, ran, pulled, adopted, quotas = rest.result()
    failures, recent = _by_mirror(failed), _by_mirror(ran)
    pulls = {row[0]: f.PullStats(*row[1:]) for row in pulled}
    adoption = {row[0]: f.Adoption(*row[1:]) for row in adopted}
    reports = [
        f.MirrorReport(
            now,
            runs=_runs(_columns(runs[key])),
            tags=_tags(_columns(tags[key])),
            delay=delays.get(key, f.DelayStats()),
            traffic=_traffic(_columns(runs[key])),
            pulls=pulls.get(key, f.PullStats()),
            adoption=adoption.get(now.mirror, f.Adoption()),
            failures=tuple(map(_failure, failures[key])),
            days=_days(runs[key], tags[key]),
            recent_runs=tuple(f.RunSummary(*row[1:]) for row in recent[key]),
        )
        for key, now in statuses.items()
    ]
    return f.Report(begin, until, tuple(reports), tuple(f.QuotaStats(*row) for row in quotas))


def read_totals(engine: sa.Engine, now: datetime | None = None) -> f.Report:
    """Runs, tags, delays and traffic of each mirror since the history began, and nothing else.

    Raises DatabaseAway.
    """
    with reachable(_url(engine)), engine.connect() as connection:
        statuses = _statuses(connection, None)
        runs = _by_mirror(connection.execute(sql.ALL_RUNS).all())
        tags = _by_mirror(connection.execute(sql.ALL_TAGS).all())
    return f.Report(
        None,
        now or utcnow(),
        tuple(
            f.MirrorReport(
                status,
                runs=_runs(_columns(runs[key])),
                tags=_tags(_columns(tags[key])),
                delay=_delay(_columns(tags[key])),
                traffic=_traffic(_columns(runs[key])),
            )
            for key, status in statuses
        ),
    )


def _results(engine: sa.Engine, *queries: tuple[sa.TextClause, dict[str, Any]]) -> list[Rows]:
    """The rows of several queries, over one connection."""
    with engine.connect() as connection:
        return [connection.execute(text, values).all() for text, values in queries]


def _statuses(connection: sa.Connection, mirror: str | None) -> list[tuple[int, f.MirrorStatus]]:
    rows = connection.execute(sql.STATUS, {"mirror": mirror}).all()
    if mirror is not None and not rows:
        raise UnknownMirror(mirror)
    ids = [row.id for row in rows]
    last = _by_mirror(connection.execute(sql.LAST_RUN, {"ids": ids}))
    failing = _by_mirror(connection.execute(sql.FAILING, {"ids": ids, "limit": TOP_FAILURES}))
    left_out = _by_mirror(connection.execute(sql.LEFT_OUT, {"ids": ids}))
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
                last_run=f.RunSummary(*last[row.id][0][1:]) if last[row.id] else None,
                failing_tags=tuple(f.FailingTag(*tag[1:]) for tag in failing[row.id]),
                left_out=tuple(f.IncompleteTags(*part[1:]) for part in left_out[row.id]),
            ),
        )
        for row in rows
    ]


def _percentiles(
    connection: sa.Connection, values: dict[str, Any], tags: dict[int, Rows]
) -> dict[int, f.DelayStats]:
    """Delays by mirror: from single ones if these are few and complete, else from daily figures."""
    totals = {key: total for key, rows in tags.items() if (total := _delay(_columns(rows))).samples}
    samples = sum(total.samples for total in totals.values())
    if samples <= EXACT_UP_TO:
        found = {row.mirror_id: row for row in connection.execute(sql.DELAYS, values)}
        if sum(row.samples for row in found.values()) == samples:
            return {
                key: replace(total, p50=points[0], p95=points[1], p99=points[2])
                for key, total in totals.items()
                for points in [found[key].points]
            }
    buckets = _by_mirror(connection.execute(sql.BUCKETS, values).all())
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


def _columns(rows: Rows) -> Mapping[str, Sequence[Any]]:
    """Rows by column: years of days are many rows, and a column is summed in one call."""
    if not rows:
        return defaultdict(tuple)
    return dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True))


def _runs(days: Mapping[str, Sequence[Any]]) -> f.Runs:
    return f.Runs(*(sum(days[name]) for name in ("succeeded", "partial", "failed", "abandoned")))


def _traffic(days: Mapping[str, Sequence[Any]]) -> f.Traffic:
    return f.Traffic(
        *(
            sum(days[name])
            for name in (
                *("bytes_copied", "requests_source", "requests_target"),
                *("blobs_copied", "blobs_mounted", "blobs_reused", "seconds"),
            )
        )
    )


def _tags(days: Mapping[str, Sequence[Any]]) -> f.Tags:
    return f.Tags(*(sum(days[name]) for name in ("succeeded", "failed", "abandoned", "retried")))


def _delay(days: Mapping[str, Sequence[Any]]) -> f.DelayStats:
    return f.DelayStats(
        sum(days["delays"]),
        sum(days["delays_in_goal"]),
        sum(days["delays_detected"]),
        sum(days["delays_followed"]),
        max=max((most for most in days["delay_max"] if most is not None), default=None),
    )


def _days(runs: Rows, tags: Rows) -> tuple[f.DayStats, ...]:
    """By day, from the columns of daily_run and daily_tag by position: years are many days."""
    by_day: dict[Any, f.DayStats] = {}
    for row in runs:
        by_day[row[1]] = f.DayStats(row[1], f.Runs(*row[2:6]), traffic=f.Traffic(*row[6:13]))
    for row in tags:
        counts, delay = f.Tags(*row[2:6]), f.DelayStats(*row[6:14])
        there = by_day.get(row[1], f.DayStats(row[1]))
        by_day[row[1]] = f.DayStats(row[1], there.runs, counts, delay, there.traffic)
    return tuple(by_day[day] for day in sorted(by_day))


def _failure(row: Row[Any]) -> f.FailureStats:
    return f.FailureStats(
        row.tag or None, row.reason, row.failures, row.last_at, row.last_run, row.last_message
    )


def _seconds(value: float | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)


def _url(engine: sa.Engine) -> str:
    return engine.url.render_as_string(hide_password=False)
