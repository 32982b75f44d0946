"""What a rule finds in the history."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.config import AlertRule
from mirror.history import AlertDetails


@dataclass(frozen=True, slots=True)
class AlertFinding:
    """A rule that holds now, for a subject of a mirror (None: not of a single mirror)."""

    rule: AlertRule
    mirror_id: int | None
    subject: str
    details: AlertDetails

    @property
    def key(self) -> tuple[str, int, str]:
        """Unique among open alerts, as in the index uq_alert_open."""
        return self.rule.value, self.mirror_id or 0, self.subject
