"""The alerts in the history: opened once, repeated at intervals, closed when their rule ends.

Messages go into alert_delivery, a row per channel, in the same transaction: a recorded message is
sent sooner or later, whatever happens to this process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from mirror.alerts.alert_finding import AlertFinding
from mirror.alerts.causes import Causes
from mirror.alerts.channels import Event
from mirror.config import KNOWN_RULES, AlertRule, ChannelSettings, Settings, Severity
from mirror.history import AlertDeliveryRecord, AlertDetails, AlertRecord

# Concurrent evaluations would open an alert twice; the second one waits and sees the first's.
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('mirror.alerts', 0))")
_PATIENCE = sa.text("SET LOCAL lock_timeout = '3s'")


@dataclass(frozen=True, slots=True)
class AlertChanges:
    """How many alerts an evaluation opened, repeated and closed."""

    opened: int = 0
    repeated: int = 0
    closed: int = 0


def lock_alerts(session: Session) -> None:
    """Exclude other evaluations until the transaction ends; waits up to 3 s.

    Raises SQLAlchemy's OperationalError if another one holds the lock for longer.
    """
    session.execute(_PATIENCE)
    session.execute(_LOCK)


def update_alerts(
    session: Session,
    causes: Causes,
    settings: Settings,
    channels: Mapping[str, ChannelSettings],
    now: datetime,
) -> AlertChanges:
    """Open, repeat and close alerts so that they match what the rules found.

    An open alert whose cause is found closes without a message: its cause's alert names it.
    Those of rules that only a newer version knows are left alone. The caller holds the lock of
    lock_alerts() and commits.
    """
    known = {
        (alert.rule, alert.mirror_id or 0, alert.subject): alert
        for alert in session.scalars(
            sa.select(AlertRecord).where(
                AlertRecord.closed_at.is_(None), AlertRecord.rule.in_(KNOWN_RULES)
            )
        )
    }
    writer = _AlertWriter(session, settings, channels, now)
    found = {finding.key: finding for finding in causes.findings}
    opened = [
        writer.open(finding)
        for key, finding in found.items()
        if key not in known and key not in causes.settling
    ]
    session.flush()
    for alert in opened:
        writer.deliver(alert, Event.OPENED)
    repeated = sum(writer.keep_open(known[key], found[key]) for key in found if key in known)
    ended = [key for key in known if key not in found]
    for key in ended:
        if cause := causes.explained.get(key):
            writer.close_for(known[key], cause)
        else:
            writer.close(known[key])
    return AlertChanges(len(opened), repeated, len(ended))


class _AlertWriter:
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

    def open(self, finding: AlertFinding) -> AlertRecord:
        alert = AlertRecord(
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

    def keep_open(self, alert: AlertRecord, finding: AlertFinding) -> bool:
        """Update an alert that still holds; True if a reminder is due."""
        alert.seen_at = self._now
        # It began when it was first found, even if the history has dropped that since.
        earlier = AlertDetails.model_validate(alert.details)
        details = finding.details.model_copy(
            update={
                "since": min(earlier.since, finding.details.since),
                # The recovery names everything that the cause brought about.
                "consequences": _union(earlier.consequences, finding.details.consequences),
            }
        )
        alert.details = details.model_dump(mode="json")
        interval = self._settings.alerting.repeat_interval(finding.rule)
        due = int((self._now - alert.opened_at) / interval)
        if due <= alert.repeats:
            return False
        alert.repeats = due
        self.deliver(alert, Event.REPEATED)
        return True

    def close(self, alert: AlertRecord) -> None:
        alert.closed_at = self._now
        if self._is_current(alert):
            self.deliver(alert, Event.RECOVERED)

    def close_for(self, alert: AlertRecord, cause: AlertFinding) -> None:
        """Close an alert without a message, in favour of its cause's."""
        alert.closed_at = self._now
        name = " ".join(filter(None, (cause.rule.value, cause.subject)))
        alert.details = {**alert.details, "cause": name}

    def deliver(self, alert: AlertRecord, event: Event) -> None:
        """Queue a message for each channel that wants the alert and has had the earlier ones."""
        severity = Severity(alert.severity)
        mirrors = AlertDetails.model_validate(alert.details).mirrors
        earlier: dict[str, list[datetime | None]] = {}
        if event is not Event.OPENED:
            rows = self._session.execute(
                sa.select(AlertDeliveryRecord.channel, AlertDeliveryRecord.sent_at).where(
                    AlertDeliveryRecord.alert_id == alert.id,
                    AlertDeliveryRecord.gave_up_at.is_(None),
                )
            )
            for channel, sent_at in rows:
                earlier.setdefault(channel, []).append(sent_at)
        for name, channel in self._channels.items():
            sent = earlier.get(name, [])
            if event is Event.RECOVERED and not sent:
                continue  # a channel added since the alert opened
            if event is Event.REPEATED and None in sent:
                continue  # the previous message has not gone out yet
            if channel.wants(severity, mirrors):
                self._session.add(
                    AlertDeliveryRecord(
                        alert_id=alert.id,
                        channel=name,
                        kind=event.value,
                        created_at=self._now,
                        due_at=self._settings.alerting.due(severity, self._now),
                        attempts=0,
                    )
                )

    def _is_current(self, alert: AlertRecord) -> bool:
        """Whether the alert's rule and mirrors are still configured.

        Otherwise its end is not a recovery, and it closes without a message.
        """
        mirrors = AlertDetails.model_validate(alert.details).mirrors
        enabled = self._settings.alerting.enabled(AlertRule(alert.rule))
        return enabled and (not mirrors or any(name in self._settings.mirrors for name in mirrors))


def _union(
    earlier: Mapping[str, tuple[str, ...]], now: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    return {
        rule: tuple(dict.fromkeys((*earlier.get(rule, ()), *now.get(rule, ()))))
        for rule in (*earlier, *(rule for rule in now if rule not in earlier))
    }
