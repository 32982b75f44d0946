"""How figures read in Chinese and English. None reads as "no data yet"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mirror.history import Runs, Tags
from mirror.website.words import Words

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def moment(words: Words, at: datetime | None) -> str:
    """`2026-11-24 08:05 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else words("no_data")


def duration(words: Words, seconds: float | timedelta | None) -> str:
    """Two units at most: `12 min`, `1 h 5 min`, `3 d 2 h`."""
    if seconds is None:
        return words("no_data")
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    chinese = words.language == "zh"
    second, minute, hour, day = ("秒", "分钟", "小时", "天") if chinese else ("s", "min", "h", "d")
    whole = max(0, round(seconds))
    if whole < MINUTE:
        parts = [(whole, second)]
    elif whole < HOUR:
        parts = [(round(whole / MINUTE), minute)]
    elif whole < DAY:
        minutes = round(whole / MINUTE)
        parts = [(minutes // 60, hour), (minutes % 60, minute)]
    else:
        hours = round(whole / HOUR)
        parts = [(hours // 24, day), (hours % 24, hour)]
    shown = [part for part in parts if part[0]] or parts[:1]
    return " ".join(f"{count} {unit}" for count, unit in shown)


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
