"""What a series of faults came to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faults.invariants import Inspector
    from faults.stage import Stage


@dataclass
class Figures:
    """Counted while the faults hit."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    recovered: int = 0
    unrecovered: int = 0
    longest_recovery: float = 0.0
    longest_after: str = ""
    longest_run: float = 0.0
    hung: list[str] = field(default_factory=list)
    crashes: list[tuple[str, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    torn: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    looks: int = 0
    pushes: int = 0
    bytes_needed: int = 0
    bytes_sent: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)  # of mirror up, by fault
    seconds_to_stop: float | None = None

    @property
    def total(self) -> int:
        """Faults that hit."""
        return self.faults.total()

    @property
    def well(self) -> bool:
        """Whether every invariant held and everything recovered by itself."""
        return not (
            self.torn
            or self.absent
            or self.violations
            or self.crashes
            or self.hung
            or self.unrecovered
        )

    def take(self, stage: Stage, inspector: Inspector) -> None:
        """What the inspector saw and the fronts counted."""
        from faults.invariants import Storage
        from faults.stage import TARGET

        self.torn, self.absent, self.looks = inspector.torn, inspector.absent, inspector.looks
        self.pushes = stage.pushes
        self.bytes_sent = stage.at_target.uploaded
        self.bytes_needed = sum(Storage(stage.target.storage, TARGET).sizes().values())

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "seed": self.seed,
            "faults": self.total,
            "by_kind": dict(self.faults.most_common()),
            "runs": self.statuses.total(),
            "run_statuses": dict(self.statuses.most_common()),
            "pushes": self.pushes,
            "looks_from_outside": self.looks,
            "torn_tags": self.torn,
            "available_but_absent": self.absent,
            "violations": self.violations,
            "runs_that_hung": self.hung,
            "crashes": self.crashes,
            "recovered_without_a_person": self.recovered,
            "not_recovered": self.unrecovered,
            "longest_recovery_seconds": round(self.longest_recovery, 1),
            "longest_recovery_after": self.longest_after,
            "longest_run_seconds": round(self.longest_run, 1),
            "seconds_until_a_new_tag": self.seconds,
            "seconds_to_stop": self.seconds_to_stop and round(self.seconds_to_stop, 1),
            "bytes_needed": self.bytes_needed,
            "bytes_sent": self.bytes_sent,
            "bytes_sent_twice": max(0, self.bytes_sent - self.bytes_needed),
        }

    def text(self) -> str:
        """For people: the document, indented."""
        return json.dumps(self.document(), indent=2)
