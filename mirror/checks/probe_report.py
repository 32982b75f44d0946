"""How a probe ended, as the flow passes it on and commands print it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mirror.checks.pull import Pull


@dataclass(frozen=True)
class ProbeReport:
    """How a round ended for one mirror: what `mirror probe --json` prints."""

    mirror: str
    probed_at: datetime  # when the round began
    tag: str | None  # at the source; None: no tag is in sync
    platform: str
    place: str
    source: Pull | None  # None: not pulled, to spare the quota
    target: Pull | None
    warnings: tuple[str, ...] = ()

    @property
    def pulls(self) -> tuple[tuple[str, Pull], ...]:
        """The pulls that were made, by side: `source`, `target`."""
        sides = (("source", self.source), ("target", self.target))
        return tuple((side, pull) for side, pull in sides if pull is not None)

    @property
    def gain(self) -> float | None:
        """By how much the mirror is faster than the source: 0.5 is 50 %. None: not comparable."""
        if self.source is None or self.target is None or self.source.digest != self.target.digest:
            return None
        there, here = self.source.bytes_per_second, self.target.bytes_per_second
        return here / there - 1 if here and there else None

    @property
    def well(self) -> bool:
        """True unless a pull failed."""
        return all(pull.well for _, pull in self.pulls)
