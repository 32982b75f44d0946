"""What a rule finds in the record, and what of it an alert keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from mirror.config.alerting import Rule
from mirror.outcome import Reason


class Details(BaseModel):
    """What a message says of an alert (alert.details). Times are aware."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    mirrors: tuple[str, ...] = ()  # those concerned, by name
    tags: tuple[str, ...] = ()
    reason: Reason | None = None
    error: str | None = None  # the record's own line about it
    flow_run_id: str | None = None
    facts: dict[str, str | int | float | None] = {}


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that holds at this moment, for a mirror (None: for none alone) and a subject."""

    rule: Rule
    mirror_id: int | None
    subject: str
    details: Details

    @property
    def key(self) -> tuple[str, int, str]:
        """What at most one open alert may have, as in the index uq_alert_open."""
        return self.rule.value, self.mirror_id or 0, self.subject
