"""What is said to people: a message's parts, before any channel's form is given to them."""

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
    RECOVERED = "closed"  # the record calls it so
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Message:
    """One message, whatever its channel. Times are aware."""

    event: Event
    severity: Severity
    what: Bilingual
    advice: Bilingual
    since: datetime
    at: datetime  # when the message is written; of a recovery, when it was found recovered
    mirror: str | None = None
    tags: tuple[str, ...] = ()
    reason: Bilingual | None = None
    errors: tuple[str, ...] = ()  # lines of the record, as the registry's answers made them
    link: str | None = None  # the run in the Prefect UI
