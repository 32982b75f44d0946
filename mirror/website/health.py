"""What a mirror is worth right now, and which source to recommend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from mirror.outcome import RunStatus
from mirror.website.site_data import Day, Mirror, SiteRecord
from mirror.website.sources import Source


class Health(StrEnum):
    """A mirror's state in one word."""

    GOOD = "good"
    LAGGING = "lagging"  # behind for longer than its goal, or not compared for two rounds
    FAILING = "failing"  # the newest run that ended failed as a whole
    UNKNOWN = "unknown"  # no run has ended yet


class DayState(StrEnum):
    """One cell of the uptime strip."""

    GOOD = "good"  # every run ended well and the delay goal was met
    PARTLY = "partly"
    BAD = "bad"  # less than half of the runs ended well
    NONE = "none"  # nothing ran


def health_of(mirror: Mirror, record: SiteRecord) -> Health:
    """The mirror's state when the record was read.

    Two rounds without a full comparison that ended well are lagging even if no tag is known to be
    behind: then nobody has looked.
    """
    last = mirror.last_ended
    if last is None:
        return Health.UNKNOWN
    if last.status in (RunStatus.FAILED, RunStatus.ABANDONED):
        return Health.FAILING
    waiting = mirror.behind_since
    if waiting is not None and record.read_at - waiting > mirror.delay_goal:
        return Health.LAGGING
    grace = 2 * mirror.every + timedelta(minutes=5)
    if mirror.verified_at is None or record.read_at - mirror.verified_at > grace:
        return Health.LAGGING
    return Health.GOOD


def day_state(day: Day | None, mirror: Mirror) -> DayState:
    """How a day of that mirror is drawn."""
    if day is None or day.runs.rate is None:
        return DayState.NONE
    if day.runs.rate < 0.5:
        return DayState.BAD
    missed = day.delay_p95 is not None and day.delay_p95 > mirror.delay_goal.total_seconds()
    return DayState.PARTLY if day.runs.rate < 1 or missed else DayState.GOOD


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source that a person may choose, with what the record says of it now."""

    source: Source
    mirror: Mirror | None  # None: the original, or a mirror that is not configured
    health: Health | None  # None: the original, which nothing mirrors

    @property
    def recommendable(self) -> bool:
        """A mirror that lags or fails is not recommended; one without a record yet may be."""
        return self.health in (None, Health.GOOD, Health.UNKNOWN)


def source_states(sources: tuple[Source, ...], record: SiteRecord) -> tuple[SourceState, ...]:
    """Each source of sources.json in its order, joined with the record by its repository."""
    states = []
    for source in sources:
        mirror = record.mirror_at(source.repository)
        is_original = bool(record.of_source(source.repository)) or not source.is_mirror
        state = health_of(mirror, record) if mirror else None if is_original else Health.UNKNOWN
        states.append(SourceState(source, mirror, state))
    return tuple(states)


def recommended(states: tuple[SourceState, ...], *, in_china: bool) -> SourceState:
    """The source to use: in China the one for China, elsewhere the original, else what works."""
    fitting = [state for state in states if state.source.china == in_china]
    order = [*fitting, *(state for state in states if state not in fitting)]
    return next((state for state in order if state.recommendable), order[0])
