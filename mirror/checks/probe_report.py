"""What a probe comes to, as the flow hands it on and commands print it. No Prefect here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mirror.checks.pull import Pull


@dataclass(frozen=True)
class ProbeReport:
    """How a round went for one mirror: what `mirror probe --json` prints."""

    mirror: str
    probed_at: datetime  # begin of the round
    tag: str | None  # at the source; None: nothing is in sync that could be pulled
    platform: str
    place: str
    source: Pull | None  # None: spared, for the quota's sake
    target: Pull | None
    warnings: tuple[str, ...] = ()

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
        return all(pull is None or pull.well for pull in (self.source, self.target))
