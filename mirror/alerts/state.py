"""Alerts in the record: opened once, repeated at their pace, closed when their rule is over.

What is to be said goes into alert_delivery, a row for each channel, in the same transaction: a
message that is recorded is sent sooner or later, whatever happens to this process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from mirror.alerts.alert_finding import Finding
from mirror.alerts.channels import Event
from mirror.config import ChannelSettings, Rule, Settings, Severity
from mirror.history import Alert, AlertDelivery, AlertDetails

# Two that evaluate at once would open an alert twice; the second waits, and sees the first's.
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('mirror.alerts', 0))")
_PATIENCE = sa.text("SET LOCAL lock_timeout = '3s'")


@dataclass(frozen=True, slots=True)
class Changes:
    """How many alerts an evaluation opened, repeated and closed."""

    opened: int = 0
    repeated: int = 0
    closed: int = 0


def lock(session: Session) -> None:
    """Be the only evaluation until the transaction ends; waits up to 3 s.

    Raises SQLAlchemy's OperationalError when another one holds it for longer.
    """
    session.execute(_PATIENCE)
    session.execute(_LOCK)


def settle(
    session: Session,
    findings: Sequence[Finding],
    settings: Settings,
    channels: Mapping[str, ChannelSettings],
    now: datetime,
) -> Changes:
    """Bring the record's open alerts into line with what the rules found.

    Needs the lock of this module; the caller commits.
    """
    standing = {
        (alert.rule, alert.mirror_id or 0, alert.subject): alert
        for alert in session.scalars(sa.select(Alert).where(Alert.closed_at.is_(None)))
    }
    desk = _Desk(session, settings, channels, now)
    found = {finding.key: finding for finding in findings}
    opened = [desk.open(finding) for key, finding in found.items() if key not in standing]
    session.flush()
    for alert in opened:
        desk.tell(alert, Event.OPENED)
    repeated = sum(desk.go_on(standing[key], found[key]) for key in found if key in standing)
    over = [alert for key, alert in standing.items() if key not in found]
    for alert in over:
        desk.close(alert)
    return Changes(len(opened), repeated, len(over))


class _Desk:
    """Writes alerts and their deliveries for one evaluation."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        channels: Mapping[str, ChannelSettings],
        now: datetime,
    ) -> None:
        self._session = session
        self._settings = settings
        self._channels = channels
        self._now = now

    def open(self, finding: Finding) -> Alert:
        alert = Alert(
            rule=finding.rule.value,
            severity=self._settings.alerting.severity(finding.rule).value,
            mirror_id=finding.mirror_id,
            subject=finding.subject,
            opened_at=self._now,
            seen_at=self._now,
            repeats=0,
            details=finding.details.model_dump(mode="json"),
        )
        self._session.add(alert)
        return alert

    def go_on(self, alert: Alert, finding: Finding) -> bool:
        """An alert that still holds; True when it is time to say so again."""
        alert.seen_at = self._now
        # It began when it was first seen to hold, whatever the record has forgotten since.
        began = AlertDetails.model_validate(alert.details).since
        details = finding.details.model_copy(update={"since": min(began, finding.details.since)})
        alert.details = details.model_dump(mode="json")
        pace = self._settings.alerting.pace(finding.rule)
        due = int((self._now - alert.opened_at) / pace)
        if due <= alert.repeats:
            return False
        alert.repeats = due
        self.tell(alert, Event.REPEATED)
        return True

    def close(self, alert: Alert) -> None:
        alert.closed_at = self._now
        if self._concerned(alert):
            self.tell(alert, Event.RECOVERED)

    def tell(self, alert: Alert, event: Event) -> None:
        """A delivery for each channel that wants the alert and, after the first, knows of it."""
        severity = Severity(alert.severity)
        mirrors = AlertDetails.model_validate(alert.details).mirrors
        earlier: dict[str, list[datetime | None]] = {}
        if event is not Event.OPENED:
            rows = self._session.execute(
                sa.select(AlertDelivery.channel, AlertDelivery.sent_at).where(
                    AlertDelivery.alert_id == alert.id, AlertDelivery.gave_up_at.is_(None)
                )
            )
            for channel, sent_at in rows:
                earlier.setdefault(channel, []).append(sent_at)
        for name, channel in self._channels.items():
            told = earlier.get(name, [])
            if event is Event.RECOVERED and not told:
                continue  # it never heard of the alert, as when it was added only now
            if event is Event.REPEATED and None in told:
                continue  # the message before has not gone out yet
            if channel.wants(severity, mirrors):
                self._session.add(
                    AlertDelivery(
                        alert_id=alert.id,
                        channel=name,
                        kind=event.value,
                        created_at=self._now,
                        due_at=self._settings.alerting.due(severity, self._now),
                        attempts=0,
                    )
                )

    def _concerned(self, alert: Alert) -> bool:
        """Whether the alert's rule and mirrors are still looked at.

        Otherwise its end is no recovery: it closes without a word.
        """
        mirrors = AlertDetails.model_validate(alert.details).mirrors
        known = alert.rule in set(Rule) and self._settings.alerting.enabled(Rule(alert.rule))
        return known and (not mirrors or any(name in self._settings.mirrors for name in mirrors))
