"""A report adds up months, days and open hours to what the raw rows say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from bench.record_fill import Size, fill
from mirror.history.database.address import conninfo
from mirror.history.figures import DelayStats, MirrorReport, Report
from mirror.history.maintain import close_days
from mirror.history.reports import Part, read_report, read_totals

NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
SIZE = Size(days=80, mirrors=3, runs=1_440, tag_records=1_440, tags=3, blobs=1, probe_minutes=1_440)
WINDOWS = (
    timedelta(hours=9),
    timedelta(days=2),
    timedelta(days=7),
    timedelta(days=21),  # from the month's second day on
    timedelta(days=22),
    timedelta(days=53),
    timedelta(days=70),
    None,
)
RUNS = sa.text("""
    SELECT count(*) FILTER (WHERE status = 'succeeded'), count(*) FILTER (WHERE status = 'partial'),
           count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'abandoned'),
           coalesce(sum(bytes_copied), 0)::bigint, coalesce(sum(requests_source), 0),
           coalesce(sum(requests_target), 0), coalesce(sum(seconds_total), 0)
    FROM sync_run JOIN mirror ON mirror.id = mirror_id
    WHERE name = :mirror AND ended_at >= :since
""")
TAGS = sa.text("""
    SELECT count(*) FILTER (WHERE status = 'succeeded'), count(*) FILTER (WHERE status = 'failed'),
           count(*) FILTER (WHERE status = 'abandoned'),
           count(*) FILTER (WHERE status = 'succeeded' AND attempts > 1), count(delay_seconds),
           count(*) FILTER (WHERE delay_seconds <= 1800), max(delay_seconds),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY delay_seconds),
           percentile_disc(0.95) WITHIN GROUP (ORDER BY delay_seconds)
    FROM tag_sync JOIN mirror ON mirror.id = mirror_id
    WHERE name = :mirror AND ended_at >= :since
""")
DELAYS = sa.text("""
    SELECT mirror_id, ceil(ln(greatest(delay_seconds, 1)) / ln(1.05))::integer, count(*)
    FROM tag_sync WHERE delay_seconds IS NOT NULL AND ended_at >= :since GROUP BY 1, 2 ORDER BY 1, 2
""")
DELAYS_SINCE = sa.text("""
    SELECT mirror_id, bucket, sum(tags) FROM delays_since(:since)
    GROUP BY 1, 2 HAVING sum(tags) <> 0 ORDER BY 1, 2
""")


@pytest.fixture
def filled(url: str, engine: sa.Engine) -> Iterator[sa.Engine]:
    """Pseudo-random records of eighty days, none of them closed."""
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        fill(connection, SIZE, NOW)
    yield engine


def close(engine: sa.Engine, now: datetime) -> None:
    with engine.begin() as connection:
        assert close_days(connection, now)


def from_rows(engine: sa.Engine, mirror: str, since: datetime | None) -> tuple[Any, ...]:
    """What the raw rows say."""
    values = {"mirror": mirror, "since": since or "-infinity"}
    with engine.connect() as connection:
        runs = connection.execute(RUNS, values).one()
        tags = connection.execute(TAGS, values).one()
    return (*runs[:7], pytest.approx(runs[7]), *tags[:7]), tags[7], tags[8]


def reported(mirror: MirrorReport) -> tuple[Any, ...]:
    """The same figures of a report."""
    runs, traffic, tags, delay = mirror.runs, mirror.traffic, mirror.tags, mirror.delay
    return (
        *(runs.succeeded, runs.partial, runs.failed, runs.abandoned),
        *(traffic.bytes_copied, traffic.requests_source, traffic.requests_target),
        *(traffic.seconds, tags.succeeded, tags.failed, tags.abandoned, tags.retried),
        *(delay.samples, delay.in_goal, delay.max),
    )


def is_close(delay: DelayStats, p50: float, p95: float) -> bool:
    """Whether the percentiles of buckets are those of the single delays, but for their width."""
    return delay.p50 == pytest.approx(p50, rel=0.026) and delay.p95 == pytest.approx(p95, rel=0.026)


def check(engine: sa.Engine) -> None:
    """Compare every window with the raw rows."""
    with engine.connect() as connection:
        for days in range(SIZE.days + 2):
            since = {"since": NOW - timedelta(days=days, hours=7 * (days % 3))}
            found = connection.execute(DELAYS_SINCE, since).all()
            assert found == connection.execute(DELAYS, since).all(), since
    for window in WINDOWS:
        report = read_report(engine, window, now=NOW, parts=Part.NONE)
        for mirror in report.mirrors:
            figures, p50, p95 = from_rows(engine, mirror.mirror, report.since)
            assert reported(mirror) == figures, (mirror.mirror, window)
            if not mirror.delay.exact:
                assert is_close(mirror.delay, p50, p95), (mirror.mirror, window)


@pytest.mark.parametrize("closed", [-40, -23, -22, -1, 0])
def test_a_report_is_what_the_rows_say_wherever_days_are_closed(
    filled: sa.Engine, closed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.history.reports.EXACT_UP_TO", 0)
    monkeypatch.setattr("mirror.history.reports.EXACT_OF_EACH", 0)
    check(filled)
    close(filled, NOW + timedelta(days=closed))
    check(filled)


def test_days_that_are_closed_one_by_one_and_late_records_add_up(filled: sa.Engine) -> None:
    for day in range(-27, -14):  # over the end of a month
        close(filled, NOW + timedelta(days=day))
        with filled.begin() as connection:  # of a clock that is behind
            connection.execute(
                sa.text("""
                    UPDATE sync_run SET status = 'partial', bytes_copied = bytes_copied + 7
                    WHERE id = (SELECT id FROM sync_run WHERE ended_at < :at AND status <> 'partial'
                                ORDER BY ended_at DESC LIMIT 1)
                """),
                {"at": NOW + timedelta(days=day - 1)},
            )
            connection.execute(
                sa.text("""
                    UPDATE tag_sync SET delay_seconds = delay_seconds * 9
                    WHERE (run_id, tag) = (SELECT run_id, tag FROM tag_sync WHERE ended_at < :at
                                AND delay_seconds IS NOT NULL ORDER BY ended_at DESC LIMIT 1)
                """),
                {"at": NOW + timedelta(days=day - 1)},
            )
    close(filled, NOW)
    check(filled)


def test_months_whose_rows_are_dropped_still_count(
    filled: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Percentiles of single delays may be far from those of buckets where delays are sparse.
    monkeypatch.setattr("mirror.history.reports.EXACT_UP_TO", 0)
    monkeypatch.setattr("mirror.history.reports.EXACT_OF_EACH", 0)
    close(filled, NOW)
    before = read_report(filled, None, now=NOW)
    with filled.begin() as connection:
        connection.execute(sa.text("SELECT drop_partitions('2026-11-01')"))
    after = read_report(filled, None, now=NOW)
    for one, other in zip(after.mirrors, before.mirrors, strict=True):
        assert reported(one) == pytest.approx(reported(other))
        assert (one.delay.p50, one.delay.p95) == (other.delay.p50, other.delay.p95)
    totals = read_totals(filled, [mirror.mirror for mirror in before.mirrors])
    for mirror in before.mirrors:
        total = totals[mirror.mirror]
        assert (total.runs, total.tags) == (mirror.runs, mirror.tags)
        assert total.traffic.bytes_copied == mirror.traffic.bytes_copied
        assert total.delays == mirror.delay.samples


def days_of(report: Report) -> list[tuple[int, int]]:
    return [
        (sum(day.runs.counted for day in mirror.days), sum(day.tags.counted for day in mirror.days))
        for mirror in report.mirrors
    ]


def test_the_days_of_a_report_add_up_to_its_totals(filled: sa.Engine) -> None:
    close(filled, NOW - timedelta(days=1))
    report = read_report(filled, timedelta(days=30), now=NOW)
    totals = [(mirror.runs.counted, mirror.tags.counted) for mirror in report.mirrors]
    assert days_of(report) == totals
    assert all(mirror.recent_runs for mirror in report.mirrors)
    bare = read_report(filled, timedelta(days=30), now=NOW, parts=Part.NONE)
    assert [(one.days, one.failures, one.recent_runs) for one in bare.mirrors] == [((), (), ())] * 3


def test_pulls_of_both_sides_count_from_the_day_before_the_window(filled: sa.Engine) -> None:
    report = read_report(filled, timedelta(days=7), now=NOW, parts=Part.NONE)
    # A hundred pulls a day at the source, three hundred at the target: eight days, one partial.
    assert {
        (mirror.adoption.days, mirror.adoption.source_pulls, mirror.adoption.pulls)
        for mirror in report.mirrors
    } == {(8, 800, 2_400)}
