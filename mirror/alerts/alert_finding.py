"""What a rule finds in the record."""

from __future__ import annotations

from dataclasses import dataclass

from mirror.config import Rule
from mirror.history import AlertDetails


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds at this moment, for a mirror (None: for none alone) and a subject."""

    rule: Rule
    mirror_id: int | None
    subject: str
    details: AlertDetails

    @property
    def key(self) -> tuple[str, int, str]:
        """What at most one open alert may have, as in the index uq_alert_open."""
        return self.rule.value, self.mirror_id or 0, self.subject
