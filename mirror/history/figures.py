"""The figures in reports. Shares are from 0 to 1, and None where nothing was counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

SUCCESS_GOAL = 0.99
SPEED_GOAL = 0.5  # 50 % faster than from the source
PULL_FAILURE_GOAL = 0.01
ADOPTION_GOAL = 0.7


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs that ended, by how; without dry runs and runs that found the target locked."""

    succeeded: int = 0
    partial: int = 0
    failed: int = 0
    abandoned: int = 0

    @property
    def counted(self) -> int:
        """How many ended: the samples behind the success rate."""
        return self.succeeded + self.partial + self.failed + self.abandoned

    @property
    def success_rate(self) -> float | None:
        """The share of runs in which every tag succeeded."""
        return _share(self.succeeded, self.counted)


@dataclass(frozen=True, slots=True)
class Tags:
    """Tag records that ended, by how."""

    succeeded: int = 0
    failed: int = 0
    abandoned: int = 0
    retried: int = 0  # of the succeeded ones, with more than one try

    @property
    def counted(self) -> int:
        """How many ended: the samples behind the success rate."""
        return self.succeeded + self.failed + self.abandoned

    @property
    def success_rate(self) -> float | None:
        """The share that succeeded."""
        return _share(self.succeeded, self.counted)


@dataclass(frozen=True, slots=True)
class DelayStats:
    """Seconds from push to verified at the target, of new and moved tags that arrived."""

    samples: int = 0
    in_goal: int = 0
    from_detected: int = 0  # counted from detection: the source reports no push time
    from_followed: int = 0  # pushed before the mirror followed them
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    exact: bool = True  # False: percentiles within 2.5 %, from daily figures

    @property
    def in_goal_share(self) -> float | None:
        """The share within the goal of their day."""
        return _share(self.in_goal, self.samples)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the syncs cost."""

    bytes_copied: int = 0
    requests_source: int = 0
    requests_target: int = 0
    blobs_copied: int = 0
    blobs_mounted: int = 0
    blobs_reused: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PullStats:
    """Anonymous pulls; the sums are over comparable pairs."""

    pulls: int = 0
    failed: int = 0
    source_pulls: int = 0
    source_failed: int = 0
    pairs: int = 0
    bytes: int = 0
    seconds: float = 0.0
    source_bytes: int = 0
    source_seconds: float = 0.0

    @property
    def failure_rate(self) -> float | None:
        """The share of pulls from the mirror that failed."""
        return _share(self.failed, self.pulls)

    @property
    def source_failure_rate(self) -> float | None:
        """The share of pulls from the source that failed."""
        return _share(self.source_failed, self.source_pulls)

    @property
    def bytes_per_second(self) -> float | None:
        """Speed from the mirror."""
        return self.bytes / self.seconds if self.seconds else None

    @property
    def source_bytes_per_second(self) -> float | None:
        """Speed from the source."""
        return self.source_bytes / self.source_seconds if self.source_seconds else None

    @property
    def gain(self) -> float | None:
        """0.5: the mirror is 50 % faster than the source."""
        mirror, source = self.bytes_per_second, self.source_bytes_per_second
        return mirror / source - 1 if mirror is not None and source else None


@dataclass(frozen=True, slots=True)
class Adoption:
    """Pulls from source and mirror over the days that both were counted."""

    days: int = 0
    pulls: int = 0
    source_pulls: int = 0

    @property
    def share(self) -> float | None:
        """The mirror's share of the pulls of both sides."""
        return _share(self.pulls, self.pulls + self.source_pulls)


@dataclass(frozen=True, slots=True)
class FailureStats:
    """Failures of one tag, or of runs as a whole, for one reason."""

    tag: str | None  # None: runs
    reason: str
    count: int
    last_at: datetime
    last_run: str
    last_message: str | None


@dataclass(frozen=True, slots=True)
class DayStats:
    """One UTC day of a mirror. The first and the last of a window may be parts of days."""

    day: date
    runs: Runs = Runs()
    tags: Tags = Tags()
    delay: DelayStats = DelayStats()
    traffic: Traffic = Traffic()


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run, with the columns of report_recent_runs."""

    run_id: str
    started_at: datetime
    ended_at: datetime | None
    status: str
    trigger: str
    complete: bool
    dry_run: bool
    tags_discovered: int
    tags_changed: int
    tags_copied: int
    tags_failed: int
    bytes_copied: int
    requests_source: int
    requests_target: int
    seconds_total: float
    reason: str | None
    message: str | None
    flow_run_id: str | None


@dataclass(frozen=True, slots=True)
class FailingTag:
    """A tag whose last try failed."""

    tag: str
    attempts: int
    since: datetime | None
    next_attempt_at: datetime | None
    reason: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class QuotaStats:
    """The least that was left of a pull quota."""

    registry: str
    account: str | None  # None: anonymous
    readings: int
    quota: int
    least_remaining: int


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """A mirror now."""

    mirror: str
    source: str
    target: str
    every: timedelta
    delay_goal: timedelta
    tags: int  # that the source lists and the mirror follows
    in_sync: int
    behind: int
    failing: int
    held: int
    gone: int
    oldest_lag: timedelta | None  # None: no tag is waiting
    last_arrival_at: datetime | None
    last_success_at: datetime | None
    last_run: RunSummary | None = None
    failing_tags: tuple[FailingTag, ...] = ()
    left_out: tuple[IncompleteTags, ...] = ()


@dataclass(frozen=True, slots=True)
class IncompleteTags:
    """Tags that a mirror holds without a part of their image, and why (outcome.DropReason)."""

    reason: str
    tags: int


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal and whether it is met. value and met are None where nothing was measured."""

    name: str
    wanted: float
    value: float | None
    samples: int
    at_least: bool  # else at most
    unit: str  # share | seconds | gain

    @property
    def met(self) -> bool | None:
        """True, False, or None for unknown."""
        if self.value is None or not self.samples:
            return None
        return self.value >= self.wanted if self.at_least else self.value <= self.wanted


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """A mirror over a time."""

    status: MirrorStatus
    runs: Runs = Runs()
    tags: Tags = Tags()
    delay: DelayStats = DelayStats()
    traffic: Traffic = Traffic()
    pulls: PullStats = PullStats()
    adoption: Adoption = Adoption()
    failures: tuple[FailureStats, ...] = ()  # the most frequent of the last 30 days at most
    days: tuple[DayStats, ...] = ()
    recent_runs: tuple[RunSummary, ...] = ()

    @property
    def mirror(self) -> str:
        """The mirror's name."""
        return self.status.mirror

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The project's goals and whether this mirror meets them."""
        wanted = self.status.delay_goal.total_seconds()
        pulls, adoption, delay = self.pulls, self.adoption, self.delay
        return (
            _at_least("runs", SUCCESS_GOAL, self.runs.success_rate, self.runs.counted),
            _at_least("tags", SUCCESS_GOAL, self.tags.success_rate, self.tags.counted),
            Goal("delay_p95", wanted, delay.p95, delay.samples, False, "seconds"),
            Goal("pull_speed", SPEED_GOAL, pulls.gain, pulls.pairs, True, "gain"),
            Goal(
                "pull_failures", PULL_FAILURE_GOAL, pulls.failure_rate, pulls.pulls, False, "share"
            ),
            _at_least(
                "adoption", ADOPTION_GOAL, adoption.share, adoption.pulls + adoption.source_pulls
            ),
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """A mirror since the history began."""

    runs: Runs = Runs()
    tags: Tags = Tags()
    traffic: Traffic = Traffic()
    delays: int = 0  # that were measured


@dataclass(frozen=True, slots=True)
class Report:
    """The requested mirrors over one window of time."""

    since: datetime | None  # None: since the history began
    until: datetime
    mirrors: tuple[MirrorReport, ...]
    quotas: tuple[QuotaStats, ...] = ()


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _at_least(name: str, wanted: float, value: float | None, samples: int) -> Goal:
    return Goal(name, wanted, value, samples, at_least=True, unit="share")
