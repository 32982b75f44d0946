"""The state of each mirror right now, and which source to recommend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from mirror.outcome import RunStatus
from mirror.website.site_data import SiteData, SiteDay, SiteMirror
from mirror.website.sources import Source


class Health(StrEnum):
    """A mirror's state in one word."""

    GOOD = "good"
    LAGGING = "lagging"  # behind for longer than its goal, or not compared for two rounds
    FAILING = "failing"  # the newest run that ended failed as a whole
    UNKNOWN = "unknown"  # no run has ended yet


class DayState(StrEnum):
    """One cell of the uptime strip."""

    GOOD = "good"  # every run succeeded and the delay goal was met
    PARTLY = "partly"
    BAD = "bad"  # less than half of the runs succeeded
    NONE = "none"  # nothing ran


def health_of(mirror: SiteMirror, data: SiteData) -> Health:
    """The mirror's state when the history was read.

    Two rounds without a full comparison that succeeded are lagging even if no tag is known to be
    behind: the comparison that would find one is missing.
    """
    last = mirror.last_ended
    if last is None:
        return Health.UNKNOWN
    if last.status in (RunStatus.FAILED, RunStatus.ABANDONED):
        return Health.FAILING
    lag = mirror.status.oldest_lag
    if lag is not None and lag > mirror.status.delay_goal:
        return Health.LAGGING
    grace = 2 * mirror.status.every + timedelta(minutes=5)
    if mirror.verified_at is None or data.read_at - mirror.verified_at > grace:
        return Health.LAGGING
    return Health.GOOD


def day_state(day: SiteDay | None, mirror: SiteMirror) -> DayState:
    """How a day of that mirror is drawn."""
    rate = day.report.runs.success_rate if day else None
    if day is None or rate is None:
        return DayState.NONE
    if rate < 0.5:
        return DayState.BAD
    p95, goal = day.report.delay.p95, mirror.status.delay_goal.total_seconds()
    return DayState.PARTLY if rate < 1 or (p95 is not None and p95 > goal) else DayState.GOOD


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source that a person may choose, and the state of its mirror."""

    source: Source
    mirror: SiteMirror | None  # None: the original, or a mirror that is not configured
    health: Health | None  # None: the original, which nothing mirrors

    @property
    def recommendable(self) -> bool:
        """A mirror that lags or fails is not recommended; one that has not run yet may be."""
        return self.health in (None, Health.GOOD, Health.UNKNOWN)


def source_states(sources: tuple[Source, ...], data: SiteData) -> tuple[SourceState, ...]:
    """Each source of sources.json in its order, with the mirror of its repository."""
    states = []
    for source in sources:
        mirror = data.mirror_at(source.repository)
        is_original = bool(data.of_source(source.repository)) or not source.is_mirror
        state = health_of(mirror, data) if mirror else None if is_original else Health.UNKNOWN
        states.append(SourceState(source, mirror, state))
    return tuple(states)


def recommended(states: tuple[SourceState, ...], *, in_china: bool) -> SourceState:
    """The source to use: in China the one for China, elsewhere the original, else what works."""
    fitting = [state for state in states if state.source.china == in_china]
    order = [*fitting, *(state for state in states if state not in fitting)]
    return next((state for state in order if state.recommendable), order[0])
