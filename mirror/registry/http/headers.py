"""Response header fields: Link, Range, Content-Range, Retry-After, Content-Length, ratelimit-*.

Each reader returns None for what it cannot parse: a header is never trusted.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_LINK: Final = re.compile(r"\s*<([^>]*)>\s*((?:;\s*[^,;\"]+(?:\"[^\"]*\")?)*)\s*(?:,|$)")
_REL: Final = re.compile(r";\s*rel\s*=\s*\"?([^\";,]+)\"?", re.IGNORECASE)
_RANGE: Final = re.compile(r"(?:bytes=)?\s*([0-9]{1,18})-([0-9]{1,18})", re.ASCII)
_CONTENT_RANGE: Final = re.compile(
    r"bytes\s+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.ASCII | re.IGNORECASE
)
_EPOCH: Final = 1_000_000_000  # more seconds than anyone waits: a unix timestamp
_MOST_COUNTED: Final = 1_000_000_000  # pulls or seconds that a quota may speak of


def next_link(value: str | None) -> str | None:
    """The target of the link with `rel=next` (RFC 8288; distribution-spec, "Listing Tags").

    A link without `rel` counts too, since some registries leave it out.
    """
    for target, relations in _links(value or ""):
        if "next" in relations or not relations:
            return target
    return None


def _links(value: str) -> Iterator[tuple[str, frozenset[str]]]:
    position = 0
    while found := _LINK.match(value, position):
        rel = _REL.search(found.group(2))
        yield found.group(1), frozenset(rel.group(1).lower().split() if rel else ())
        if found.end() == position:
            return
        position = found.end()


def uploaded_bytes(value: str | None) -> int | None:
    """How many bytes an upload session holds, by its `Range: 0-<last>`.

    `0-0` is ambiguous: it means an empty session in distribution and one byte by the letter.
    It is read as empty: an upload that resumes one byte too early is refused or corrected by the
    registry, one that resumes too late would leave a hole.
    """
    found = _RANGE.fullmatch((value or "").strip())
    if not found or int(found.group(1)) != 0:
        return None
    last = int(found.group(2))
    return last + 1 if last else 0


@dataclass(frozen=True, slots=True)
class ContentRange:
    """`Content-Range: bytes start-end/total`; `end` is inclusive, total None for `*`."""

    start: int
    end: int
    total: int | None


def content_range(value: str | None) -> ContentRange | None:
    """Read the Content-Range of a 206 response (RFC 9110, 14.4)."""
    found = _CONTENT_RANGE.fullmatch((value or "").strip())
    if not found:
        return None
    start, end = int(found.group(1)), int(found.group(2))
    total = None if found.group(3) == "*" else int(found.group(3))
    if end < start or (total is not None and end >= total):
        return None
    return ContentRange(start, end, total)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by Retry-After: a number of seconds, an HTTP date or a unix timestamp.

    Docker Hub has been seen to send the last form.
    """
    text = (value or "").strip()
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{0,9})?", text, re.ASCII):
        seconds = float(text)
        return max(0.0, seconds - now.timestamp()) if seconds >= _EPOCH else seconds
    try:
        date = email.utils.parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def length(value: str | None) -> int | None:
    """A Content-Length, or another header that holds a count."""
    text = (value or "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) else None


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """The pull quota by Docker Hub's ratelimit headers: pulls, in a window of seconds."""

    limit: int
    remaining: int
    window_seconds: int
    source: str | None  # docker-ratelimit-source: an address, or the account's id
    read_at: datetime


def quota_status(fields: Mapping[str, str], now: datetime) -> QuotaStatus | None:
    """Read `ratelimit-limit: 100;w=21600` and `ratelimit-remaining`; None where they are absent."""
    limit, window = _counted(fields.get("ratelimit-limit"))
    remaining, other_window = _counted(fields.get("ratelimit-remaining"))
    if limit is None or remaining is None:
        return None
    source = fields.get("docker-ratelimit-source")
    return QuotaStatus(limit, remaining, window or other_window or 0, source, now)


def _counted(value: str | None) -> tuple[int | None, int | None]:
    found = re.fullmatch(
        r"\s*([0-9]{1,12})\s*(?:;\s*w\s*=\s*([0-9]{1,12}))?\s*(?:;.*)?", value or "", re.ASCII
    )
    if not found:
        return None, None
    count, window = int(found.group(1)), int(found.group(2)) if found.group(2) else None
    return (None, None) if max(count, window or 0) > _MOST_COUNTED else (count, window)
