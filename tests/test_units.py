"""Durations as they are written and as they are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mirror.units import (
    format_decimal,
    format_duration,
    format_floor,
    format_moment,
    format_stopwatch,
    format_two_units,
    parse_duration,
    parse_rate,
)


@pytest.mark.parametrize("text", ["30m", "1h30m", "14d", "90d1s", "1d2h3m4s"])
def test_what_is_written_reads_back(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize("text", ["", "30", "0m", "30m 1h", "-5m", "5 minuets", 30, None])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "rate"), [("20Mbit/s", 2_500_000), ("2.5MB/s", 2_500_000), ("8bit/s", 1)]
)
def test_rates_are_bytes_per_second(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["20", "20Mb/s", "1bit/s", "", None])
def test_what_is_no_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="rate"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("seconds", "decimal", "floor", "two_units"),
    [
        (0, "0 s", "0 s", "0 s"),
        (42.4, "42 s", "42 s", "42 s"),
        (59.6, "60 s", "59 s", "1 min"),
        (90, "1.5 min", "90 s", "2 min"),
        (119.9, "2 min", "119 s", "2 min"),
        (420, "7 min", "7 min", "7 min"),
        (3_900, "65 min", "65 min", "1 h 5 min"),
        (12_600, "3.5 h", "3 h", "3 h 30 min"),
        (86_399, "24 h", "23 h", "24 h"),
        (172_800, "2 d", "2 d", "2 d"),
        (266_400, "3.1 d", "3 d", "3 d 2 h"),
    ],
)
def test_a_duration_in_words(seconds: float, decimal: str, floor: str, two_units: str) -> None:
    for value in (seconds, timedelta(seconds=seconds)):
        assert format_decimal(value) == decimal
        assert format_floor(value) == floor
        assert format_two_units(value) == two_units


def test_clocks_that_differ_give_no_negative_durations() -> None:
    assert format_floor(timedelta(seconds=-3)) == "0 s"
    assert format_two_units(-3) == "0 s"


def test_units_in_another_language() -> None:
    assert format_two_units(12_600, ("天", "小时", "分钟", "秒")) == "3 小时 30 分钟"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12 ms"), (0.85, "850 ms"), (12.34, "12.3 s")]
)
def test_a_stopwatch(seconds: float, text: str) -> None:
    assert format_stopwatch(seconds) == text


def test_a_moment_is_said_in_utc() -> None:
    assert format_moment(datetime(2026, 11, 24, 8, 5, 59, tzinfo=UTC)) == "2026-11-24 08:05 UTC"
    beijing = datetime(2026, 11, 24, 16, 5, tzinfo=timezone(timedelta(hours=8)))
    assert format_moment(beijing) == "2026-11-24 08:05 UTC"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30min", "30m"),
        ("30 min", "30m"),
        ("1 hour", "1h"),
        ("2 hrs", "2h"),
        ("1 hour 30 minutes", "1h30m"),
        ("14 days", "14d"),
        ("90 seconds", "1m30s"),
        ("1d 12h", "1d12h"),
    ],
)
def test_units_may_be_words(written: str, meant: str) -> None:
    assert format_duration(parse_duration(written)) == meant
