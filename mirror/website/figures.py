"""How figures read in Chinese and English. None reads as "no data yet"."""

from __future__ import annotations

from datetime import datetime, timedelta

from mirror.history import Runs, Tags
from mirror.units import format_moment, format_two_units
from mirror.website.sources import Language
from mirror.website.words import Words

_UNITS: dict[Language, tuple[str, str, str, str]] = {
    "zh": ("天", "小时", "分钟", "秒"),
    "en": ("d", "h", "min", "s"),
}


def moment(words: Words, at: datetime | None) -> str:
    """`2026-11-24 08:05 UTC`."""
    return format_moment(at) if at else words("no_data")


def duration(words: Words, seconds: float | timedelta | None) -> str:
    """Two units at most: `12 min`, `1 h 5 min`, `3 d 2 h`."""
    if seconds is None:
        return words("no_data")
    return format_two_units(seconds, _UNITS[words.language])


def percent(words: Words, ended: Runs | Tags) -> str:
    """How many of those that ended succeeded: `99.6%`, never rounded up to 100 %."""
    if not ended.counted:
        return words("no_data")
    tenths = ended.succeeded * 1000 // ended.counted
    return f"{tenths // 10}%" if tenths % 10 == 0 else f"{tenths / 10:.1f}%"


def gain(words: Words, ratio: float | None) -> str:
    """`+73%` for 0.73."""
    return words("no_data") if ratio is None else f"{ratio:+.0%}"


def size(words: Words, count: float | None) -> str:
    """Bytes in decimal units: `412 MB`."""
    if count is None:
        return words("no_data")
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if count < 1000:
            break
        count, unit = count / 1000, larger
    return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"


def speed(words: Words, rate: float | None) -> str:
    """Bytes a second: `8.2 MB/s`."""
    return words("no_data") if rate is None else f"{size(words, rate)}/s"
