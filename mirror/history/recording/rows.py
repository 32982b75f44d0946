"""The recorder's input that is not in mirror.outcome. All frozen; times in UTC."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from mirror.config import MirrorSettings
from mirror.outcome import Change, ChangeKind, Reason, TagFailure


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """A mirror as it is configured. source and target are `host[:port]/path`."""

    name: str
    source: str
    target: str
    every: timedelta
    watch_every: timedelta
    delay_goal: timedelta
    policy: str = ""  # which tags are mirrored, in any stable form


def mirror_row(mirror: MirrorSettings) -> MirrorRow:
    """A mirror of mirrors.yaml as the recorder takes it."""
    return MirrorRow(
        name=mirror.name,
        source=mirror.source,
        target=mirror.target,
        every=mirror.every,
        watch_every=mirror.watch_every,
        delay_goal=mirror.delay_goal,
        policy=mirror.model_dump_json(include={"tags", "platforms", "attestations", "referrers"}),
    )


@dataclass(frozen=True, slots=True)
class WatchRow:
    """One round of the watch over all sources; mirrors by name."""

    started_at: datetime
    ended_at: datetime
    looked: tuple[str, ...]
    moved: tuple[str, ...] = ()
    failed: tuple[TagFailure, ...] = ()  # tag holds the mirror's name
    requests: int = 0


@dataclass(frozen=True, slots=True)
class WatchKey:
    """Which row of the watch."""

    started_at: datetime
    id: UUID


@dataclass(frozen=True, slots=True)
class ProbePull:
    """One pull from one side of a mirror. Pulls to be compared share probed_at and tag."""

    mirror: str
    probed_at: datetime  # when the round started
    tag: str
    side: str  # source | target
    well: bool
    digest: str | None = None
    first_byte_seconds: float | None = None
    seconds: float | None = None
    bytes: int = 0
    place: str = ""
    reason: Reason | None = None
    message: str | None = None
    lost: str | None = None  # the digest of what a manifest names and the registry lacks


@dataclass(frozen=True, slots=True)
class PullCounted:
    """How often a repository (`host[:port]/path`) has been pulled since its creation."""

    repository: str
    pulls: int
    counted_at: datetime

    @property
    def day(self) -> date:
        """The day that the count belongs to."""
        return self.counted_at.date()


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Something that an audit found to differ; kinds are those of audit_finding's CHECK."""

    tag: str
    kind: str
    message: str
    digest: str | None = None
    repair: ChangeKind | None = None  # missing or drifted: what a sync has to repair


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """How an audit of one mirror ended."""

    mirror: str
    started_at: datetime
    ended_at: datetime
    deep: bool
    tags: int
    blobs_checked: int = 0
    blobs_hashed: int = 0
    bytes_hashed: int = 0
    requests: int = 0
    findings: tuple[FindingRow, ...] = ()
    sound: tuple[str, ...] = ()  # digests whose bytes were hashed and are right
    failure: TagFailure | None = None


@dataclass(frozen=True, slots=True)
class AuditWritten:
    """A recorded audit: its id, and the tags that the next sync will repair."""

    audit_id: str
    handed_over: tuple[str, ...]


def delay(
    change: Change, available_at: datetime, followed_since: datetime
) -> tuple[float, str] | tuple[None, None]:
    """A tag's delay in seconds and what it counts from: pushed, detected or followed.

    It counts from the push if the source reports it, else from when the digest was first seen, and
    never from before the mirror followed the tag, so that a first sync of old tags does not count
    as years of delay. A repair (missing, drifted) has none: that push arrived long ago.
    """
    if change.kind not in ("new", "moved"):
        return None, None
    start, source = (
        (change.pushed_at, "pushed") if change.pushed_at else (change.detected_at, "detected")
    )
    if start < followed_since:
        start, source = followed_since, "followed"
    # Clocks differ: a push in our clock's future had no delay.
    return max((available_at - start).total_seconds(), 0.0), source


def split_repository(name: str) -> tuple[str, str]:
    """`docker.io/library/redis` as (`docker.io`, `library/redis`)."""
    registry, _, path = name.partition("/")
    if not registry or not path:
        raise ValueError(f"{name!r} is not a repository such as docker.io/library/redis")
    return registry, path


def new_id() -> UUID:
    """A UUID that sorts by time (RFC 9562, version 7), so that indexes grow at their end."""
    milliseconds = time.time_ns() // 1_000_000
    bits = (milliseconds & (1 << 48) - 1) << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76
    bits = bits & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=bits)
