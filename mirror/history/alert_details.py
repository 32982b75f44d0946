"""What an alert keeps of what its rule found (alert.details)."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from mirror.outcome import Reason


class AlertDetails(BaseModel):
    """What a message says of an alert (alert.details). Times are aware."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    mirrors: tuple[str, ...] = ()  # those concerned, by name
    tags: tuple[str, ...] = ()
    reason: Reason | None = None
    error: str | None = None  # the message in the history
    flow_run_id: str | None = None
    # What the cause explains, by rule: mirror, mirror:tag. These have no alerts.
    consequences: dict[str, tuple[str, ...]] = {}
    cause: str | None = None  # of an alert that was closed in favour of its cause's
    facts: dict[str, str | int | float | None] = {}
