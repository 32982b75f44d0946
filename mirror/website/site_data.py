"""What the site shows of the record: frozen values, times aware in UTC, durations in seconds.

None always means that the record does not know; no page turns it into a figure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from mirror.outcome import DropReason, Reason, RunStatus, Trigger
from mirror.website.sources import Text


@dataclass(frozen=True, slots=True)
class Share:
    """How many of those that ended ended well."""

    good: int
    ended: int

    @property
    def rate(self) -> float | None:
        """Between 0 and 1; None when nothing has ended yet."""
        return self.good / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class DelayFigures:
    """Seconds from push to available, over `count` tag records."""

    p50: float
    p95: float
    max: float
    count: int


@dataclass(frozen=True, slots=True)
class SpeedFigures:
    """Medians of what the probes pulled, bytes a second."""

    mirror: float
    source: float | None
    failures: Share  # pulls of the mirror
    probed_at: datetime

    @property
    def gain(self) -> float | None:
        """0.5 means half as fast again as the source; None without a figure of the source."""
        return self.mirror / self.source - 1 if self.source else None


@dataclass(frozen=True, slots=True)
class Day:
    """A day (UTC) of one mirror."""

    day: date
    runs: Share
    delay_p50: float | None = None
    delay_p95: float | None = None
    speed_mirror: float | None = None  # bytes a second
    speed_source: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A sync run."""

    started_at: datetime
    ended_at: datetime | None
    trigger: Trigger
    status: RunStatus
    copied: int
    failed: int
    bytes_copied: int
    reason: Reason | None = None  # why it failed as a whole


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A part of an image that the source has and the mirror has not."""

    reason: DropReason
    platform: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of one mirror, as the record has it now."""

    name: str
    source_digest: str
    target_digest: str | None  # None: not there (yet)
    pushed_at: datetime | None
    available_at: datetime | None
    in_sync: bool
    size: int | None = None  # bytes
    platforms: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Mirror:
    """One mirror and its figures; success and delay over the last 30 days."""

    name: str
    source: str  # registry/repository
    target: str
    every: timedelta
    delay_goal: timedelta
    verified_at: datetime | None = None  # the newest full comparison that ended well
    looked_at: datetime | None = None  # the newest look at the source
    synced: int | None = None  # tags whose newest digest is at the mirror
    behind: int | None = None
    behind_since: datetime | None = None  # when the longest-waiting of them was pushed
    tag_success: Share = Share(0, 0)
    run_success: Share = Share(0, 0)
    delay: DelayFigures | None = None
    speed: SpeedFigures | None = None
    days: tuple[Day, ...] = ()  # oldest first, only those with something to tell
    runs: tuple[Run, ...] = ()  # newest first
    tags: tuple[Tag, ...] = ()  # newest pushed first

    @property
    def last_ended(self) -> Run | None:
        """The newest run that has ended."""
        return next((run for run in self.runs if run.status is not RunStatus.RUNNING), None)


class Severity(StrEnum):
    """How bad an incident is."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Incident:
    """An alert that was sent, and when it was over."""

    id: str
    mirror: str | None  # None: the service as a whole
    severity: Severity
    kind: str
    summary: Text
    opened_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """Everything that one build of the site needs."""

    read_at: datetime
    mirrors: tuple[Mirror, ...] = ()
    incidents: tuple[Incident, ...] = field(default=())  # newest first

    def mirror_at(self, repository: str) -> Mirror | None:
        """The mirror whose target is `repository` (registry/name), if one is configured."""
        return next((mirror for mirror in self.mirrors if mirror.target == repository), None)

    def of_source(self, repository: str) -> tuple[Mirror, ...]:
        """The mirrors of `repository`."""
        return tuple(mirror for mirror in self.mirrors if mirror.source == repository)
