"""Reading the history: the status of each mirror now, and its figures over a time.

Every query reads figures of whole months and days, and raw rows for the rest (since.sql and
totals.sql of the migrations), so that it takes as long on years of history as on a week. The
database adds up, so that a report without its parts is a row of each query for each mirror.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Flag, auto
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from mirror.history import figures as f, report_queries as sql
from mirror.history.database import UnknownMirror, reachable
from mirror.outcome import utcnow

# Delays sorted one by one, in all and for each mirror; more come from the daily figures, which are
# up to a hundred rows a mirror.
EXACT_UP_TO = 2_000
EXACT_OF_EACH = 200
RECENT_RUNS = 20
TOP_FAILURES = 20
# A window this long starts at midnight: its first day is then read from the daily figures, which
# takes half as long as from the rows, and which outlive them.
LONG_WINDOW = timedelta(days=3)
FAILURES_OF = timedelta(days=30)  # earlier failures are for SQL

# Sums of a thousand mirrors stay in memory, by the session.
_MEMORY = sa.text("SET LOCAL work_mem = '32MB'")

Rows = Sequence[Row[Any]]
Query = tuple[sa.TextClause, dict[str, Any]]


class Part(Flag):
    """What a report may hold besides totals: each is many rows for each mirror."""

    NONE = 0
    DAYS = auto()
    FAILURES = auto()
    RUNS = auto()
    ALL = DAYS | FAILURES | RUNS


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
    parts: Part = Part.ALL,
) -> f.Report:
    """The figures of each mirror, or of the one of that name, since a time or for a time until now.

    since None is since the history began. A window of 3 days or more starts at a UTC midnight, and
    any report lists failures of the last 30 days at most. What `parts` leaves out is empty.
    Raises UnknownMirror, DatabaseAway.
    """
    until = now or utcnow()
    begin = until - since if isinstance(since, timedelta) else since
    if begin is not None and until - begin >= LONG_WINDOW:
        begin = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with reachable(_url(engine)), ThreadPoolExecutor(2) as executor:
        stating = executor.submit(_keyed_statuses, engine, mirror)
        with engine.connect() as connection:
            ids = list(connection.scalars(sql.IDS, {"mirror": mirror}))
        values = {"since": begin or "-infinity", "ids": ids}
        lately = max(begin, until - FAILURES_OF) if begin else until - FAILURES_OF
        top = {**values, "since": lately, "limit": TOP_FAILURES}
        # Three parts of about the same length, each on a separate connection.
        rest = executor.submit(
            _results,
            engine,
            (sql.FAILURES, top) if Part.FAILURES in parts else None,
            (sql.RUNS, {**values, "limit": RECENT_RUNS}) if Part.RUNS in parts else None,
            (sql.DAILY_RUNS, values) if Part.DAYS in parts else None,
            (sql.DAILY_TAGS, values) if Part.DAYS in parts else None,
            (sql.PULLS, values),
            (sql.ADOPTION, values),
            (sql.QUOTAS, values),
        )
        with engine.connect() as connection:
            connection.execute(_MEMORY)
            runs, tags = _totals(connection, values)
            delays = _percentiles(connection, values, tags)
        statuses = stating.result()
        failed, ran, run_days, tag_days, pulled, adopted, quotas = rest.result()
    failures, recent = _by_mirror(failed), _by_mirror(ran)
    days_of_runs, days_of_tags = _by_mirror(run_days), _by_mirror(tag_days)
    pulls = {row[0]: f.PullStats(*row[1:]) for row in pulled}
    adoption = {row[0]: f.Adoption(*row[1:]) for row in adopted}
    reports = [
        f.MirrorReport(
            now,
            runs=_runs(runs.get(key)),
            tags=_tags(tags.get(key)),
            delay=delays.get(key, f.DelayStats()),
            traffic=_traffic(runs.get(key)),
            pulls=pulls.get(key, f.PullStats()),
            adoption=adoption.get(now.mirror, f.Adoption()),
            failures=tuple(map(_failure, failures[key])),
            days=_days(days_of_runs[key], days_of_tags[key]),
            recent_runs=tuple(f.RunSummary(*row[1:]) for row in recent[key]),
        )
        for key, now in statuses.items()
    ]
    return f.Report(begin, until, tuple(reports), tuple(f.QuotaStats(*row) for row in quotas))


def read_days(
    engine: sa.Engine, window: timedelta, mirrors: Sequence[str], now: datetime
) -> dict[str, tuple[f.DayStats, ...]]:
    """The days of some mirrors, by name, as a report has them. Raises DatabaseAway."""
    begin = (now - window).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with reachable(_url(engine)), engine.connect() as connection:
        names = dict(connection.execute(sql.NAMES, {"names": list(mirrors)}).tuples().all())
        values = {"since": begin, "ids": list(names)}
        runs = _by_mirror(connection.execute(sql.DAILY_RUNS, values))
        tags = _by_mirror(connection.execute(sql.DAILY_TAGS, values))
    return {name: _days(runs[key], tags[key]) for key, name in names.items()}


def read_totals(engine: sa.Engine, mirrors: Sequence[str]) -> dict[str, f.Totals]:
    """Runs, tags and traffic of mirrors since the history began, by name. Raises DatabaseAway."""
    with reachable(_url(engine)), engine.connect() as connection:
        names = dict(connection.execute(sql.NAMES, {"names": list(mirrors)}).tuples().all())
        runs, tags = _totals(connection, {"since": "-infinity", "ids": list(names)})
    return {
        name: f.Totals(
            runs=_runs(runs.get(key)),
            tags=_tags(tags.get(key)),
            traffic=_traffic(runs.get(key)),
            delays=tags[key].delays if key in tags else 0,
        )
        for key, name in names.items()
    }


def _totals(
    connection: sa.Connection, values: dict[str, Any]
) -> tuple[dict[int, Row[Any]], dict[int, Row[Any]]]:
    """A row of RUN_TOTALS and of TAG_TOTALS by mirror."""
    runs, tags = (connection.execute(text, values) for text in (sql.RUN_TOTALS, sql.TAG_TOTALS))
    return {row[0]: row for row in runs}, {row[0]: row for row in tags}


def _results(engine: sa.Engine, *queries: Query | None) -> list[Rows]:
    """The rows of several queries, over one connection; none for None."""
    with engine.connect() as connection:
        connection.execute(_MEMORY)
        return [connection.execute(*query).all() if query else () for query in queries]


def _keyed_statuses(engine: sa.Engine, mirror: str | None) -> dict[int, f.MirrorStatus]:
    with engine.connect() as connection:
        return dict(_statuses(connection, mirror))


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
    connection: sa.Connection, values: dict[str, Any], tags: dict[int, Row[Any]]
) -> dict[int, f.DelayStats]:
    """Delays by mirror: from single ones if these are few and complete, else from daily figures."""
    totals = {key: _delay(row) for key, row in tags.items() if row.delays}
    samples = sum(total.samples for total in totals.values())
    if samples <= max(EXACT_UP_TO, EXACT_OF_EACH * len(totals)):
        found = {row.mirror_id: row for row in connection.execute(sql.DELAYS, values)}
        if sum(row.samples for row in found.values()) == samples:
            return {
                key: replace(total, p50=points[0], p95=points[1], p99=points[2])
                for key, total in totals.items()
                for points in [found[key].points]
            }
    buckets = {row.mirror_id: row for row in connection.execute(sql.BUCKETS, values)}
    return {
        key: replace(
            total, p50=_middle(row.p50), p95=_middle(row.p95), p99=_middle(row.p99), exact=False
        )
        for key, total in totals.items()
        for row in [buckets[key]]
    }


def _middle(bucket: int) -> float:
    """The middle of a bucket in seconds: bucket n ends at 1.05^n."""
    return float(1.05 ** (bucket - 0.5))


def _by_mirror(rows: Iterable[Row[Any]]) -> dict[int, Rows]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return defaultdict(list, found)


def _runs(total: Row[Any] | None) -> f.Runs:
    return f.Runs() if total is None else f.Runs(*total[1:5])


def _traffic(total: Row[Any] | None) -> f.Traffic:
    return f.Traffic() if total is None else f.Traffic(*total[5:12])


def _tags(total: Row[Any] | None) -> f.Tags:
    return f.Tags() if total is None else f.Tags(*total[1:5])


def _delay(total: Row[Any]) -> f.DelayStats:
    return f.DelayStats(
        total.delays,
        total.delays_in_goal,
        total.delays_detected,
        total.delays_followed,
        max=total.delay_max,
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
