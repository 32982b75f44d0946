"""Reports as JSON and CSV."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from mirror.history import CSV_COLUMNS, DayStats, DelayStats, Report, as_json, csv_rows
from mirror.history.figures import MirrorReport, Runs, Tags, Traffic
from tests.history.test_figures import STATUS

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (NOON, "2026-11-24T12:00:00+00:00"),
        (date(2026, 11, 24), "2026-11-24"),
        (timedelta(minutes=1, milliseconds=500), 60.5),
        (Decimal("3"), 3),
        (Decimal("3.25"), 3.25),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ({1: (Decimal(2), None)}, {"1": [2, None]}),
        (b"x", "b'x'"),
    ],
)
def test_values_of_sql_as_json(value: object, expected: object) -> None:
    assert as_json(value) == expected


def test_a_report_holds_fields_and_what_follows_from_them() -> None:
    found = as_json(Report(None, NOON, (MirrorReport(STATUS, runs=Runs(succeeded=3, failed=1)),)))
    json.dumps(found)
    (mirror,) = found["mirrors"]
    assert found["since"] is None
    assert mirror["runs"] == {
        "succeeded": 3,
        "partial": 0,
        "failed": 1,
        "abandoned": 0,
        "counted": 4,
        "success_rate": 0.75,
    }
    assert mirror["mirror"] == STATUS.mirror
    assert mirror["status"]["delay_goal"] == 1800.0
    assert [goal["name"] for goal in mirror["goals"]][:2] == ["runs", "tags"]


def test_a_csv_row_for_each_day_fits_its_columns() -> None:
    day = DayStats(
        date(2026, 11, 24),
        Runs(succeeded=1),
        Tags(failed=2),
        DelayStats(samples=1, in_goal=1, p50=9.0),
        Traffic(bytes_copied=7, seconds=1.5),
    )
    (row,) = csv_rows(Report(None, NOON, (MirrorReport(STATUS, days=(day,)),)))
    named = dict(zip(CSV_COLUMNS, row, strict=True))
    assert (named["mirror"], named["day"], named["runs"]) == ("m", day.day, 1)
    assert (named["run_success_rate"], named["tag_success_rate"]) == (1.0, 0.0)
    assert (named["delay_p50_seconds"], named["delay_in_goal_share"]) == (9.0, 1.0)
    assert (named["bytes_copied"], named["seconds"]) == (7, 1.5)
