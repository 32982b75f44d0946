"""What happened, noted at the registries and not in the history; and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flows.local.sample_registry.store import Push
from mirror.config import MirrorSettings, Settings
from mirror.outcome import RunOutcome
from mirror.sync import tag_rules_of


@dataclass(frozen=True)
class Pushed:
    """A tag of a source, as somebody pushed it."""

    source: str
    tag: str
    digest: str
    at: datetime


@dataclass(frozen=True)
class Arrival:
    """A push that reached a mirror: when the tag pointed at it there for the first time."""

    mirror: str
    tag: str
    pushed: Pushed
    at: datetime

    @property
    def seconds(self) -> float:
        """From the push to the tag at the mirror."""
        return (self.at - self.pushed.at).total_seconds()


@dataclass(frozen=True)
class Ran:
    """A sync, as whoever started it saw it. `outcome` is None where it was killed."""

    mirror: str
    trigger: str
    started_at: datetime
    ended_at: datetime
    outcome: RunOutcome | None
    defect: str = ""


@dataclass
class Ledger:
    """Pushes, arrivals and runs."""

    settings: Settings
    pushes: list[Pushed] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    runs: list[Ran] = field(default_factory=list)
    _seen: set[tuple[str, str, str]] = field(default_factory=set)

    def listener(self, host: str) -> Callable[[Push], None]:
        """What a registry's store tells of each push."""

        def note(push: Push) -> None:
            if push.tag is None:
                return
            place, digest = f"{host}/{push.repository}", push.manifest.digest
            for mirror in self.settings.mirrors.values():
                if mirror.target == place:
                    self._arrived(mirror, push.tag, digest, push.pushed_at)
            if any(mirror.source == place for mirror in self.settings.mirrors.values()):
                self.pushes.append(Pushed(place, push.tag, digest, push.pushed_at))

        return note

    def _arrived(self, mirror: MirrorSettings, tag: str, digest: str, at: datetime) -> None:
        if (mirror.name, tag, digest) in self._seen:
            return
        self._seen.add((mirror.name, tag, digest))
        pushed = next(
            push
            for push in reversed(self.pushes)
            if (push.source, push.tag, push.digest) == (mirror.source, tag, digest)
        )
        self.arrivals.append(Arrival(mirror.name, tag, pushed, at))

    def due(self, mirror: MirrorSettings) -> list[Pushed]:
        """The pushes that the mirror is to have: of tags that it mirrors, and not replaced."""
        rules = tag_rules_of(mirror)
        latest = {
            push.tag: push
            for push in self.pushes
            if push.source == mirror.source and rules.admits(push.tag)
        }
        return list(latest.values())

    def missing(self) -> list[str]:
        """What the mirrors should have and do not."""
        return [
            f"{mirror.name}: {push.tag} of {push.at:%m-%d %H:%M:%S}"
            for mirror in self.settings.mirrors.values()
            for push in self.due(mirror)
            if (mirror.name, push.tag, push.digest) not in self._seen
        ]


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which that share lies, between its neighbours as percentile_cont has it."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def spread(seconds: Iterable[float]) -> dict[str, float | int | None]:
    """Number, p50, p99 and the longest."""
    values = list(seconds)
    rounded = {
        name: None if (found := quantile(values, share)) is None else round(found, 2)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }
    return {"tags": len(values), **rounded}
