"""What the site shows: each mirror's report from the history, and what only the site adds to it.

Times are aware and in UTC. None means unknown; no page turns it into a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from mirror.config import Severity
from mirror.history import DayStats, MirrorReport, MirrorStatus, RunSummary
from mirror.outcome import Dropped, Reason, RunStatus
from mirror.website.sources import Text

WHOLE = 50
"""Mirrors with pages; a page takes 50 ms to build, and people look for those that they pull."""


@dataclass(frozen=True, slots=True)
class SiteDay:
    """A day (UTC) of one mirror: what ended, and how fast the probes pulled, in bytes a second."""

    report: DayStats
    speed: float | None = None
    source_speed: float | None = None

    @property
    def day(self) -> date:
        """Which day."""
        return self.report.day


@dataclass(frozen=True, slots=True)
class SiteTag:
    """A tag of one mirror as it is now."""

    name: str
    source_digest: str
    target_digest: str | None  # None: not there (yet)
    pushed_at: datetime | None
    available_at: datetime | None
    in_sync: bool
    size: int | None = None  # bytes
    platforms: tuple[str, ...] = ()
    left_out: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteMirror:
    """One mirror."""

    report: MirrorReport  # of the last 30 days; an empty one for a mirror that never ran
    verified_at: datetime | None = None  # the newest full comparison that succeeded
    looked_at: datetime | None = None  # when the source was last checked for changes
    days: tuple[SiteDay, ...] = ()  # of the last 90 days those with figures, oldest first
    tags: tuple[SiteTag, ...] = ()  # newest push first

    @property
    def name(self) -> str:
        """Its name in mirrors.yaml."""
        return self.report.mirror

    @property
    def status(self) -> MirrorStatus:
        """Source, target, goals and the state now."""
        return self.report.status

    @property
    def runs(self) -> tuple[RunSummary, ...]:
        """The newest runs, newest first, except dry ones and those that found the target locked."""
        return tuple(
            run for run in self.report.recent_runs if not run.dry_run and run.reason != Reason.LOCK
        )

    @property
    def last_ended(self) -> RunSummary | None:
        """The newest run that has ended."""
        return next((run for run in self.runs if run.status != RunStatus.RUNNING), None)

    @property
    def synced(self) -> int | None:
        """Tags whose newest digest is at the target; unknown until a run has looked for them."""
        return self.status.in_sync if self.last_ended else None

    @property
    def behind(self) -> int | None:
        """Tags whose newest digest is not at the target; unknown until a run has ended."""
        return self.status.behind if self.last_ended else None

    @property
    def met(self) -> Mapping[str, bool | None]:
        """Whether each goal of the report is met, by its name."""
        return {goal.name: goal.met for goal in self.report.goals}


@dataclass(frozen=True, slots=True)
class Incident:
    """An alert that was sent, and when it was over."""

    id: str
    mirror: str | None  # None: the service as a whole
    severity: Severity  # warning or critical
    kind: str
    summary: Text
    opened_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class SiteData:
    """Everything that one build of the site needs."""

    read_at: datetime
    mirrors: tuple[SiteMirror, ...] = ()
    incidents: tuple[Incident, ...] = ()  # newest first

    @property
    def whole(self) -> tuple[SiteMirror, ...]:
        """The mirrors that the site shows with their days, tags and runs."""
        return self.mirrors[:WHOLE]

    @property
    def others(self) -> tuple[SiteMirror, ...]:
        """The mirrors of a fleet that are a row of a table."""
        return self.mirrors[WHOLE:]

    def is_whole(self, mirror: SiteMirror) -> bool:
        """Whether a mirror has pages."""
        return any(mirror is one for one in self.whole)

    def mirror_at(self, repository: str) -> SiteMirror | None:
        """The mirror whose target is `repository` (registry/name), if one is configured."""
        return next((mirror for mirror in self.mirrors if mirror.status.target == repository), None)

    def of_source(self, repository: str) -> tuple[SiteMirror, ...]:
        """The mirrors of `repository` that are shown whole."""
        return tuple(mirror for mirror in self.whole if mirror.status.source == repository)

    def behind_since(self, mirror: SiteMirror) -> datetime | None:
        """When the tag was pushed that has waited longest; None when no tag waits."""
        lag = mirror.status.oldest_lag
        return self.read_at - lag if lag is not None else None
