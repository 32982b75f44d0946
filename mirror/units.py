"""Durations, rates and times of day as people write them in mirrors.yaml and on commands."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMG]?)(bit|B)/s")
_PREFIX = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def parse_duration(value: object) -> timedelta:
    """`30m`, `1h30m`, `14d`, `90s` as a timedelta.

    Raises ValueError for anything else, for zero and for numbers without a unit.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match or not any(match.groups()):
        raise ValueError(f"{value!r} is not a duration such as 30m, 1h30m or 14d")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not duration:
        raise ValueError("a duration must be longer than zero")
    return duration


def format_duration(duration: timedelta) -> str:
    """The shortest form that parse_duration reads back: `1h30m`."""
    seconds = int(duration.total_seconds())
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_rate(value: object) -> int:
    """`20Mbit/s` or `2.5MB/s` as bytes per second. Raises ValueError for anything else."""
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
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{value!r} is not a time zone such as Asia/Shanghai") from error
    return value


ClockTime = Annotated[time, BeforeValidator(_clock_time)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
