"""Messages that wait to be sent: taken by one dispatcher at a time, given back when it fails."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from mirror.alerts.channels import Event
from mirror.config import Rule, Severity
from mirror.history import AlertDetails

LEASE = timedelta(minutes=2)  # a dispatcher that died loses what it took after so long
KEEP_TRYING = timedelta(days=7)

# Only the first unsent message of an alert to a channel may be taken: a recovery never overtakes
# the alert. Taking it moves due_at ahead, which is the lease.
_TAKE = sa.text("""
    WITH next AS (
        SELECT delivery.id
        FROM alert_delivery delivery
        WHERE delivery.sent_at IS NULL AND delivery.gave_up_at IS NULL
            AND delivery.due_at <= :now AND delivery.channel = :channel
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
_AGAIN = sa.text("""
    UPDATE alert_delivery SET due_at = :due, error = :error WHERE id = ANY(:ids)
""")
_UNTRIED = sa.text("""
    UPDATE alert_delivery SET due_at = :now, attempts = attempts - 1 WHERE id = ANY(:ids)
""")
_GIVE_UP = sa.text("""
    UPDATE alert_delivery SET gave_up_at = :now, error = coalesce(error, 'no such channel any more')
    WHERE sent_at IS NULL AND gave_up_at IS NULL
        AND (created_at < :oldest OR NOT channel = ANY(:channels))
""")
_RECENT = sa.text("""
    SELECT DISTINCT sent_at FROM alert_delivery
    WHERE channel = :channel AND sent_at > :since
""")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message of one alert, taken to be sent."""

    id: int
    kind: Event
    attempts: int  # this one included
    rule: Rule
    severity: Severity
    mirror: str | None
    subject: str
    closed_at: datetime | None
    details: AlertDetails


class Outbox:
    """alert_delivery, as dispatchers see it. Every method is a transaction of its own."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def waiting(self, now: datetime) -> set[str]:
        """The channels that have messages to be sent now."""
        with self._engine.connect() as connection:
            return set(connection.scalars(_WAITING, {"now": now}))

    def take(self, channel: str, now: datetime) -> list[Delivery]:
        """Messages to send to a channel now, oldest first; nobody else gets them meanwhile."""
        values = {"channel": channel, "now": now, "lease": now + LEASE}
        with self._engine.begin() as connection:
            return [
                Delivery(
                    row.id,
                    Event(row.kind),
                    row.attempts,
                    Rule(row.rule),
                    Severity(row.severity),
                    row.mirror,
                    row.subject,
                    row.closed_at,
                    AlertDetails.model_validate(row.details),
                )
                for row in connection.execute(_TAKE, values)
            ]

    def recent(self, channel: str, since: datetime) -> list[datetime]:
        """When messages went out to a channel after `since`, by whatever process."""
        with self._engine.connect() as connection:
            return list(connection.scalars(_RECENT, {"channel": channel, "since": since}))

    def sent(self, batch: Sequence[Delivery], now: datetime, error: str | None = None) -> None:
        """The messages went out; `error` tells of recipients that were refused."""
        self._run(_SENT, batch, now=now, error=error)

    def again(self, batch: Sequence[Delivery], due: datetime, error: str) -> None:
        """The messages did not go out, and are due again then."""
        self._run(_AGAIN, batch, due=due, error=error)

    def untried(self, batch: Sequence[Delivery], now: datetime) -> None:
        """The messages were taken and not tried: whoever comes next may have them."""
        self._run(_UNTRIED, batch, now=now)

    def give_up(self, channels: Collection[str], now: datetime) -> None:
        """Messages of channels that are no more, and those that were tried for seven days."""
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
