"""Rates are shares of what was counted, unknown where nothing was, and goals follow from them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mirror.history.figures import (
    Adoption,
    DelayStats,
    Goal,
    MirrorReport,
    MirrorStatus,
    PullStats,
    Runs,
    Tags,
)

STATUS = MirrorStatus(
    "m",
    "docker.io/a/b",
    "r.example.com/a/b",
    every=timedelta(minutes=30),
    delay_goal=timedelta(minutes=30),
    tags=0,
    in_sync=0,
    behind=0,
    failing=0,
    held=0,
    gone=0,
    oldest_lag=None,
    last_arrival_at=None,
    last_success_at=None,
)


def test_nothing_counted_is_unknown() -> None:
    assert Runs().success_rate is None
    assert Tags().success_rate is None
    assert DelayStats().in_goal_share is None
    assert (PullStats().failure_rate, PullStats().gain) == (None, None)
    assert Adoption().share is None
    assert {goal.met for goal in MirrorReport(STATUS).goals} == {None}


def test_a_partial_run_and_an_abandoned_tag_are_no_success() -> None:
    assert Runs(succeeded=1, partial=1, failed=1, abandoned=1).success_rate == 0.25
    assert Tags(succeeded=1, failed=1, abandoned=2, retried=1).success_rate == 0.25


def test_the_gain_compares_bytes_by_seconds() -> None:
    pulls = PullStats(pairs=1, bytes=300, seconds=1.0, source_bytes=200, source_seconds=1.0)
    assert pulls.gain == 0.5
    assert PullStats(pairs=1, bytes=300, seconds=1.0).gain is None, "no source to compare with"


@pytest.mark.parametrize(
    ("value", "samples", "at_least", "met"),
    [
        (0.99, 100, True, True),
        (0.989, 100, True, False),
        (0.99, 100, False, True),
        (0.991, 100, False, False),
        (1.0, 0, True, None),
        (None, 5, True, None),
    ],
)
def test_a_goal_is_met_at_its_border(
    value: float | None, samples: int, at_least: bool, met: bool | None
) -> None:
    assert Goal("g", 0.99, value, samples, at_least, "share").met is met


def test_the_goals_of_a_report() -> None:
    report = MirrorReport(
        STATUS,
        runs=Runs(succeeded=99, failed=1),
        tags=Tags(succeeded=98, failed=2),
        delay=DelayStats(samples=3, p95=1_800.0),
        pulls=PullStats(
            pulls=100, failed=1, pairs=9, bytes=3, seconds=1, source_bytes=2, source_seconds=1
        ),
        adoption=Adoption(days=1, pulls=69, source_pulls=31),
    )
    assert {goal.name: goal.met for goal in report.goals} == {
        "runs": True,
        "tags": False,
        "delay_p95": True,
        "pull_speed": True,
        "pull_failures": True,
        "adoption": False,
    }
