"""Durations, rates and times as written in mirrors.yaml and as shown to people.

format_duration        1h30m      what parse_duration reads back
format_decimal         3.5 h      reports in the terminal
format_floor           3 h        what keeps growing: lags, ages
format_two_units       3 h 30 min the site, with the units of its language
format_stopwatch       850 ms     how long a command took
format_moment          2026-11-24 08:05 UTC
format_count           1 tag, 1,200 tags
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator

_DURATION = re.compile(
    r"(?:(\d+) ?d(?:ays?)? ?)?(?:(\d+) ?h(?:(?:ou)?rs?)? ?)?"
    r"(?:(\d+) ?m(?:in(?:ute)?s?)? ?)?(?:(\d+) ?s(?:ec(?:ond)?s?)?)?"
)
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMG]?)(bit|B)/s")
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60
_PREFIX = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def parse_duration(value: object) -> timedelta:
    """`30m`, `1h30m`, `14d`, `90s` as a timedelta; `30 min` and `1 hour` mean the same.

    Raises ValueError for anything else, for zero and for numbers without a unit.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match or not any(match.groups()):
        raise ValueError(f"{value!r} is not a duration such as 30m, 1h30m or 14d")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    try:
        duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{value!r} is longer than any duration") from error
    if not duration:
        raise ValueError("a duration must be longer than zero")
    return duration


def format_duration(duration: timedelta) -> str:
    """The shortest form that parse_duration reads back: `1h30m`."""
    seconds = int(duration.total_seconds())
    parts = []
    for unit, size in (("d", _DAY), ("h", _HOUR), ("m", _MINUTE), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def format_decimal(value: float | timedelta) -> str:
    """Seconds, or a timedelta, in one unit with one decimal: `42 s`, `1.5 min`, `3.5 h`, `2 d`."""
    seconds = _seconds(value)
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size or (seconds >= size and unit == "min"):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def format_floor(value: float | timedelta) -> str:
    """Seconds, or a timedelta, in one unit, rounded down: `119 s`, `2 min`, `3 h`, `2 d`."""
    seconds = max(int(_seconds(value)), 0)
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def format_two_units(
    value: float | timedelta, units: tuple[str, str, str, str] = ("d", "h", "min", "s")
) -> str:
    """Seconds, or a timedelta, rounded to two units: `12 min`, `1 h 5 min`, `3 d 2 h`.

    units are the names of days, hours, minutes and seconds.
    """
    day, hour, minute, second = units
    whole = max(0, round(_seconds(value)))
    if whole < _MINUTE:
        parts = [(whole, second)]
    elif whole < _HOUR:
        parts = [(round(whole / _MINUTE), minute)]
    elif whole < _DAY:
        minutes = round(whole / _MINUTE)
        parts = [(minutes // 60, hour), (minutes % 60, minute)]
    else:
        hours = round(whole / _HOUR)
        parts = [(hours // 24, day), (hours % 24, hour)]
    shown = [part for part in parts if part[0]] or parts[:1]
    return " ".join(f"{count} {unit}" for count, unit in shown)


def format_stopwatch(seconds: float) -> str:
    """How long something took: `850 ms`, `12.3 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def format_moment(at: datetime) -> str:
    """An aware time to the minute: `2026-11-24 08:05 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def format_count(count: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun, which is plural unless the number is one: `1 run`, `1,200 runs`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


def parse_rate(value: object) -> int:
    """`20Mbit/s` or `2.5MB/s` as bytes per second. Raises ValueError for anything else.

    An int is a rate that was read before; a number of mirrors.yaml comes here as text.
    """
    if type(value) is int and value > 0:
        return value
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{value!r} is not a rate such as 20Mbit/s or 2.5MB/s")
    number, prefix, unit = match.groups()
    rate = int(float(number) * _PREFIX[prefix] / (8 if unit == "bit" else 1))
    if rate < 1:
        raise ValueError("a rate must be above zero")
    return rate


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Rate = Annotated[int, BeforeValidator(parse_rate)]


def _clock_time(value: object) -> object:
    # YAML 1.1 reads an unquoted 22:00 as the number 1320, sixties and all.
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time(*divmod(value, 60))
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{value[:80]!r} is not a time zone such as Asia/Shanghai") from error
    return value


ClockTime = Annotated[time, BeforeValidator(_clock_time)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
