"""Messages waiting to be sent: leased by one dispatcher at a time, released when it fails."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from mirror.alerts.channels import Event
from mirror.config import KNOWN_RULES, AlertRule, Severity
from mirror.history import AlertDetails

LEASE = timedelta(minutes=2)  # after which a dead dispatcher's messages are available again
KEEP_TRYING = timedelta(days=7)

# Only the first unsent message of an alert to a channel is available: a recovery never overtakes
# its alert. Taking a message moves due_at ahead, which is the lease.
_TAKE = sa.text("""
    WITH next AS (
        SELECT delivery.id
        FROM alert_delivery delivery
        WHERE delivery.sent_at IS NULL AND delivery.gave_up_at IS NULL
            AND delivery.due_at <= :now AND delivery.channel = :channel
            AND EXISTS (
                SELECT FROM alert WHERE alert.id = delivery.alert_id AND alert.rule = ANY(:rules)
            )
            AND NOT EXISTS (
                SELECT FROM alert_delivery earlier
                WHERE earlier.alert_id = delivery.alert_id
                    AND earlier.channel = delivery.channel
                    AND earlier.id < delivery.id
                    AND earlier.sent_at IS NULL AND earlier.gave_up_at IS NULL
            )
        ORDER BY delivery.id
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE alert_delivery SET due_at = :lease, attempts = attempts + 1
        FROM next WHERE alert_delivery.id = next.id
        RETURNING alert_delivery.*
    )
    SELECT taken.id, taken.channel, taken.kind, taken.attempts, taken.created_at,
           alert.rule, alert.severity, alert.mirror_id, mirror.name AS mirror, alert.subject,
           alert.closed_at, alert.details
    FROM taken
    JOIN alert ON alert.id = taken.alert_id
    LEFT JOIN mirror ON mirror.id = alert.mirror_id
    ORDER BY taken.id
""")
_WAITING = sa.text("""
    SELECT DISTINCT channel FROM alert_delivery
    WHERE sent_at IS NULL AND gave_up_at IS NULL AND due_at <= :now
""")
_SENT = sa.text("""
    UPDATE alert_delivery SET sent_at = :now, error = :error WHERE id = ANY(:ids)
""")
_RETRY_LATER = sa.text("""
    UPDATE alert_delivery SET due_at = :due, error = :error WHERE id = ANY(:ids)
""")
_RELEASE = sa.text("""
    UPDATE alert_delivery SET due_at = :now, attempts = attempts - 1 WHERE id = ANY(:ids)
""")
_GIVE_UP = sa.text("""
    UPDATE alert_delivery SET gave_up_at = :now,
        error = coalesce(error, 'the channel no longer exists')
    WHERE sent_at IS NULL AND gave_up_at IS NULL
        AND (created_at < :oldest OR NOT channel = ANY(:channels))
""")
_RECENT = sa.text("""
    SELECT DISTINCT sent_at FROM alert_delivery
    WHERE channel = :channel AND sent_at > :since
""")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of one alert, leased to be sent."""

    id: int
    kind: Event
    attempts: int  # this one included
    rule: AlertRule
    severity: Severity
    mirror: str | None
    subject: str
    closed_at: datetime | None
    details: AlertDetails


class Outbox:
    """alert_delivery, as dispatchers see it. Every method is one transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def waiting(self, now: datetime) -> set[str]:
        """The channels that have messages due."""
        with self._engine.connect() as connection:
            return set(connection.scalars(_WAITING, {"now": now}))

    def take(self, channel: str, now: datetime) -> list[Delivery]:
        """Lease the messages due to a channel, oldest first."""
        rules = list(KNOWN_RULES)
        values = {"channel": channel, "now": now, "lease": now + LEASE, "rules": rules}
        with self._engine.begin() as connection:
            return [
                Delivery(
                    row.id,
                    Event(row.kind),
                    row.attempts,
                    AlertRule(row.rule),
                    Severity(row.severity),
                    row.mirror,
                    row.subject,
                    row.closed_at,
                    AlertDetails.model_validate(row.details),
                )
                for row in connection.execute(_TAKE, values)
            ]

    def recent(self, channel: str, since: datetime) -> list[datetime]:
        """When messages went out to a channel after `since`, from any process."""
        with self._engine.connect() as connection:
            return list(connection.scalars(_RECENT, {"channel": channel, "since": since}))

    def mark_sent(self, batch: Sequence[Delivery], now: datetime, error: str | None = None) -> None:
        """The messages went out; `error` names recipients that were refused."""
        self._run(_SENT, batch, now=now, error=error)

    def retry_later(self, batch: Sequence[Delivery], due: datetime, error: str) -> None:
        """The messages did not go out and are due again at `due`."""
        self._run(_RETRY_LATER, batch, due=due, error=error)

    def release(self, batch: Sequence[Delivery], now: datetime) -> None:
        """The messages were leased and not tried: make them available at once."""
        self._run(_RELEASE, batch, now=now)

    def give_up(self, channels: Collection[str], now: datetime) -> None:
        """Give up messages of channels that no longer exist, and those older than seven days."""
        values = {"now": now, "oldest": now - KEEP_TRYING, "channels": list(channels)}
        with self._engine.begin() as connection:
            connection.execute(_GIVE_UP, values)

    def _run(
        self, statement: sa.TextClause, batch: Sequence[Delivery], **values: datetime | str | None
    ) -> None:
        if batch:
            ids = [delivery.id for delivery in batch]
            with self._engine.begin() as connection:
                connection.execute(statement, {"ids": ids, **values})
