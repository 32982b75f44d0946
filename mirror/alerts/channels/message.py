"""A message's parts, before a channel formats them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mirror.config import Severity
from mirror.history import Bilingual


class Event(StrEnum):
    """What a message announces."""

    OPENED = "opened"
    REPEATED = "repeated"
    RECOVERED = "closed"  # the value in the history
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Message:
    """One message, for any channel. Times are aware."""

    event: Event
    severity: Severity
    what: Bilingual
    advice: Bilingual
    since: datetime
    at: datetime  # when the message is written; of a recovery, when it was detected
    mirror: str | None = None
    tags: tuple[str, ...] = ()
    consequences: tuple[Bilingual, ...] = ()  # what the cause has brought about
    reason: Bilingual | None = None
    errors: tuple[str, ...] = ()  # as recorded, with the registry's own words
    link: str | None = None  # the run in the Prefect UI
