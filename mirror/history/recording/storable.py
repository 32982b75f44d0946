"""Values from outside as the history can store them: the last line of defence.

The registry client checks what it reads. What it lets through, or a defect makes, must not end a
run: text is freed from what PostgreSQL can't store and cut, numbers are bounded by their column,
and times that can't be true are unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

LONGEST_NAME: Final = 512
"""Characters of a tag, digest or platform. Indexes hold 2,700 bytes."""
LONGEST_TEXT: Final = 8_000
"""Characters of any other text."""
MOST_INTEGER: Final = 2**31 - 1
MOST_BIGINT: Final = 2**63 - 1
MOST_PLATFORMS: Final = 200
_FIRST_PUSH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD: Final = timedelta(days=3650)  # clocks differ


def storable(values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a statement, each as PostgreSQL can store it."""
    return {name: _storable(value) for name, value in values.items()}


def text(value: str, most: int = LONGEST_TEXT) -> str:
    """Text without NUL and lone surrogates, and not too long."""
    if len(value) > most:
        value = value[: most - 1] + "…"
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def name(value: str) -> str:
    """A tag, digest or platform."""
    return text(value, LONGEST_NAME)


def integer(value: int) -> int:
    """A number that fits into an integer column."""
    return max(min(value, MOST_INTEGER), 0)


def size(value: float | None) -> int | None:
    """Bytes; None for what no image has."""
    return int(value) if value is not None and 0 <= value <= MOST_BIGINT else None


def push_time(value: datetime | None, now: datetime) -> datetime | None:
    """When a tag was pushed; None for what can't be true."""
    return value if value is not None and _FIRST_PUSH <= value <= now + _AHEAD else None


def platforms(values: tuple[str, ...]) -> str | None:
    """Platforms, separated by blanks; None for none."""
    return " ".join(name(value).replace(" ", "_") for value in values[:MOST_PLATFORMS]) or None


def _storable(value: Any) -> Any:
    # Enumerations are strings too, and stay what they are.
    if type(value) is str:
        return text(value)
    if type(value) is int:
        return max(min(value, MOST_BIGINT), -MOST_BIGINT)
    if type(value) is list:
        return [_storable(each) for each in value]
    return value
