"""The figures of a handmade history (made_history.py) are those computed by hand.

Each holds twice: with every day read from the raw rows, and with the days rolled up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from mirror.history import PostgresRecorder, UnknownMirror, figures, reports
from mirror.history.maintain import maintain_history
from tests.history.made_history import NAME, NOW, PLACE, at, make_counts, make_history, make_pulls
from tests.support.records import MIRROR

Rows = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["raw rows", "rolled up"])
async def rows(
    recorder: PostgresRecorder, engine: sa.Engine, request: pytest.FixtureRequest
) -> Rows:
    """The handmade history, and a function to query it."""
    runs = await make_history(recorder, engine)
    await make_pulls(recorder)
    await make_counts(recorder)
    if request.param == "rolled up":
        assert maintain_history(engine, NOW).closed_until == at(22, 0)

    def query(text: str) -> list[tuple[Any, ...]]:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(text), {"run2": runs[2]})]

    return query


def test_success_rates_by_day(rows: Rows) -> None:
    found = rows(
        "SELECT day::text, runs, runs_succeeded, runs_partial, runs_failed, runs_abandoned,"
        " run_success_rate, tags, tags_succeeded, tags_failed, tags_abandoned, tags_retried,"
        f" tag_success_rate FROM report_success_rate WHERE mirror = '{NAME}' ORDER BY day"
    )
    assert found == [
        # Runs 1 and 3 of three. Tags 0.1, 0.2 and 0.3, whose first try failed.
        ("2026-11-20", 3, 2, 1, 0, 0, 2 / 3, 4, 3, 1, 0, 1, 3 / 4),
        # Run 6 of 5 and 6; 4 collided, 7 was dry. 0.4 was abandoned, then arrived.
        ("2026-11-21", 2, 1, 0, 0, 1, 1 / 2, 2, 1, 0, 1, 0, 1 / 2),
        # Run 8 of 8 and 9. 0.0 and the repaired 0.1.
        ("2026-11-22", 2, 1, 0, 1, 0, 1 / 2, 2, 2, 0, 0, 0, 1.0),
    ]


def test_delays_by_day(rows: Rows) -> None:
    found = rows(
        "SELECT day::text, tags, p50_seconds, p95_seconds, p99_seconds, max_seconds,"
        " goal_seconds, in_goal_share, from_pushed, from_detected, from_followed"
        " FROM report_delay ORDER BY day"
    )
    assert found == [
        # 900, 1,320 and 3,960 s; p95 lies 0.95 * 2 = 1.9 steps up, p99 1.98.
        (
            "2026-11-20",
            3,
            1320.0,
            pytest.approx(1320 + 0.9 * 2640),
            pytest.approx(1320 + 0.98 * 2640),
            3960.0,
            1800.0,
            2 / 3,
            3,
            0,
            0,
        ),
        ("2026-11-21", 1, 4200.0, 4200.0, 4200.0, 4200.0, 1800.0, 0.0, 0, 1, 0),
        ("2026-11-22", 1, *[208_860.0] * 4, 1800.0, 0.0, 0, 0, 1),
    ]


def test_failures_by_reason_and_tag(rows: Rows) -> None:
    found = rows(
        "SELECT day::text, scope, tag, reason, failures, last_message FROM report_failures"
        " ORDER BY day, scope, tag"
    )
    assert found == [
        ("2026-11-20", "tag", "0.3", "network", 1, "0.3: network"),
        (
            "2026-11-21",
            "run",
            None,
            "abandoned",
            1,
            "killed before it ended; closed by a later run",
        ),
        (
            "2026-11-21",
            "tag",
            "0.4",
            "abandoned",
            1,
            "the run was killed while this tag was being copied",
        ),
        ("2026-11-22", "run", None, "auth", 1, "registry.example.com: refuses the password"),
    ]
    assert rows("SELECT count(*) FROM report_failures WHERE last_run::text = :run2") == [(1,)]


def test_freshness_now(rows: Rows) -> None:
    rows_now = rows(
        "SELECT tags, tags_in_sync, tags_behind, tags_failing, tags_held, tags_gone,"
        " oldest_lag_seconds, last_success_at, last_run_at, last_run_status FROM report_freshness"
    )
    # Known are 0.0, 0.1, 0.2, 0.3, 0.4: all there. What is only skipped is not made known by that.
    assert rows_now == [(5, 5, 0, 0, 0, 0, None, at(22, 10, 2), at(22, 11), "failed")]


def test_the_history_of_a_tag(rows: Rows) -> None:
    found = rows(
        "SELECT available_at, replaced_at, delay_seconds, delay_from FROM report_tag_history"
        f" WHERE mirror = '{NAME}' AND tag = '0.3'"
    )
    assert found == [(at(20, 11, 7), None, 1320.0, "pushed")]
    # A repair brings no new digest.
    assert rows("SELECT count(*) FROM report_tag_history WHERE tag = '0.1'") == [(1,)]


def test_traffic_by_day(rows: Rows) -> None:
    found = rows(
        "SELECT day::text, bytes_copied, requests_source, requests_target, blobs_copied,"
        " blobs_mounted, blobs_reused, seconds FROM report_traffic ORDER BY day"
    )
    assert found == [
        ("2026-11-20", 3_000, 30, 15, 9, 6, 3, 6.0),
        # Runs 4, 6 and 7 reported their figures; the killed run 5 had copied nothing.
        ("2026-11-21", 3_000, 30, 15, 9, 6, 3, 6.0),
        ("2026-11-22", 2_000, 20, 10, 6, 4, 2, 4.0),
    ]


def test_recent_runs_newest_first(rows: Rows) -> None:
    found = rows("SELECT started_at, status, dry_run, reason FROM report_recent_runs LIMIT 4")
    assert found == [
        (at(22, 11), "failed", False, "auth"),
        (at(22, 10), "succeeded", False, None),
        (at(21, 12), "succeeded", True, None),
        (at(21, 10), "succeeded", False, None),
    ]


def test_pull_speed_compares_only_what_compares(rows: Rows) -> None:
    found = rows(
        "SELECT day::text, place, pairs, source_bytes_per_second, target_bytes_per_second, gain,"
        " median_gain FROM report_pull_speed"
    )
    assert found == [
        ("2026-11-20", PLACE, 3, 2_500_000.0, 3_750_000.0, pytest.approx(0.5), pytest.approx(1.0))
    ]


def test_pull_failures(rows: Rows) -> None:
    found = rows(
        "SELECT pulls, failed, failure_rate, source_pulls, source_failed, source_failure_rate"
        " FROM report_pull_failures"
    )
    assert found == [(5, 1, 0.2, 5, 0, 0.0)]


def test_adoption(rows: Rows) -> None:
    found = rows(
        "SELECT day::text, source_total, target_total, source_pulls, target_pulls, share"
        " FROM report_adoption ORDER BY day"
    )
    assert found == [
        ("2026-11-20", 1_000, 200, None, None, None),
        ("2026-11-21", 1_100, 500, 100, 300, 0.75),
        ("2026-11-22", 1_150, 650, 50, 150, 0.75),
    ]


def test_quota(rows: Rows) -> None:
    assert rows("SELECT registry, account, readings, quota, least_remaining, least_share"
                " FROM report_quota") == [("docker.io", None, 3, 100, 30, 0.3)]  # fmt: skip


def test_a_report_of_everything(rows: Rows, engine: sa.Engine) -> None:
    (found,) = reports.read_report(engine, None, NAME, NOW).mirrors
    assert found.runs == figures.Runs(succeeded=4, partial=1, failed=1, abandoned=1)
    assert found.runs.success_rate == 4 / 7
    assert found.tags == figures.Tags(succeeded=6, failed=1, abandoned=1, retried=1)
    assert found.tags.success_rate == 6 / 8
    # 900, 1,320, 3,960, 4,200 and 208,860 s.
    assert (found.delay.samples, found.delay.p50, found.delay.max) == (5, 3960.0, 208_860.0)
    assert found.delay.p95 == pytest.approx(4200 + 0.8 * 204_660)
    assert (found.delay.in_goal_share, found.delay.exact) == (2 / 5, True)
    assert (found.traffic.bytes_copied, found.traffic.requests_source) == (8_000, 80)
    assert found.pulls.gain == pytest.approx(0.5)
    assert found.adoption == figures.Adoption(days=2, pulls=450, source_pulls=150)
    assert [(failure.tag, failure.reason, failure.count) for failure in found.failures] == [
        (None, "auth", 1),
        (None, "abandoned", 1),
        ("0.4", "abandoned", 1),
        ("0.3", "network", 1),
    ]
    assert [day.day.day for day in found.days] == [20, 21, 22]
    assert len(found.recent_runs) == 9
    goals = {goal.name: goal.met for goal in found.goals}
    assert goals == {
        "runs": False,
        "tags": False,
        "delay_p95": False,
        "pull_speed": True,
        "pull_failures": False,
        "adoption": True,
    }


def test_a_report_of_a_part_of_a_day(rows: Rows, engine: sa.Engine) -> None:
    # From 20 November 10:30: without run 1 and what it brought, and without the 10:00 round.
    (found,) = reports.read_report(engine, at(20, 10, 30), NAME, NOW).mirrors
    assert found.runs == figures.Runs(succeeded=3, partial=1, failed=1, abandoned=1)
    assert found.tags == figures.Tags(succeeded=4, failed=1, abandoned=1, retried=1)
    assert (found.delay.samples, found.delay.p50) == (3, 4200.0)
    assert (found.pulls.pulls, found.pulls.pairs, found.pulls.gain) == (3, 1, -0.5)


def test_a_report_of_the_last_hours(rows: Rows, engine: sa.Engine) -> None:
    (found,) = reports.read_report(engine, timedelta(hours=4), NAME, NOW).mirrors
    assert found.runs == figures.Runs(failed=1)
    assert found.tags.success_rate is None
    assert found.delay == figures.DelayStats()


def test_percentiles_of_many_delays_are_close(
    rows: Rows, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "EXACT_UP_TO", 4)
    monkeypatch.setattr(reports, "EXACT_OF_EACH", 1)
    (found,) = reports.read_report(engine, None, NAME, NOW).mirrors
    assert found.delay.exact is False
    assert found.delay.p50 == pytest.approx(3960, rel=0.025)
    assert found.delay.p95 == pytest.approx(208_860, rel=0.025)
    assert found.delay.max == 208_860.0


async def test_nothing_counted_is_unknown_and_never_all_well(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    (found,) = reports.read_report(engine, None).mirrors
    assert found.runs.success_rate is None
    assert found.tags.success_rate is None
    assert {goal.met for goal in found.goals} == {None}
    assert (found.status.last_run, found.status.tags) == (None, 0)


async def test_status_now(recorder: PostgresRecorder, engine: sa.Engine) -> None:
    runs = await make_history(recorder, engine)
    (found,) = reports.read_status(engine)
    assert (found.mirror, found.source, found.target) == (NAME, MIRROR.source, MIRROR.target)
    assert (found.tags, found.in_sync, found.behind, found.oldest_lag) == (5, 5, 0, None)
    assert found.last_run is not None
    assert (found.last_run.run_id, found.last_run.status) == (runs[9], "failed")
    assert found.last_success_at == at(22, 10, 2)


def test_an_unknown_mirror_is_named(engine: sa.Engine) -> None:
    with pytest.raises(UnknownMirror, match="nobody"):
        reports.read_report(engine, None, "nobody")
    assert reports.read_status(engine) == ()
