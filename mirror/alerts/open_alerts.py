"""The open alerts, for reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from mirror.config import KNOWN_RULES, AlertRule, Severity
from mirror.history import SAYINGS, AlertDetails, Bilingual, filled

_OPEN = sa.text("""
    SELECT alert.rule, alert.severity, mirror.name AS mirror, alert.subject, alert.opened_at,
           alert.details,
           count(delivery.id) FILTER (WHERE delivery.sent_at IS NULL
               AND delivery.gave_up_at IS NULL) AS unsent
    FROM alert
    LEFT JOIN mirror ON mirror.id = alert.mirror_id
    LEFT JOIN alert_delivery delivery ON delivery.alert_id = alert.id
    WHERE alert.closed_at IS NULL AND alert.rule = ANY(:rules)
    GROUP BY alert.id, mirror.name
    ORDER BY array_position(ARRAY['critical', 'warning', 'info'], alert.severity), alert.id
    LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that is open now. Times are UTC."""

    rule: AlertRule
    severity: Severity
    mirror: str | None  # None: not of a single mirror, such as a registry's quota
    subject: str  # the tag or registry; empty: the mirror as a whole
    since: datetime
    opened_at: datetime
    what: Bilingual
    error: str | None
    unsent: int  # messages waiting for a channel or the end of the quiet hours


def read_open_alerts(engine: sa.Engine, limit: int = 1000) -> tuple[OpenAlert, ...]:
    """The open alerts, the most urgent first, at most `limit`."""
    values = {"limit": limit, "rules": list(KNOWN_RULES)}
    with engine.connect() as connection:
        return tuple(_alert(row) for row in connection.execute(_OPEN, values))


def _alert(row: sa.Row[tuple[object, ...]]) -> OpenAlert:
    values = row._mapping
    details = AlertDetails.model_validate(values["details"])
    rule = AlertRule(values["rule"])
    return OpenAlert(
        rule=rule,
        severity=Severity(values["severity"]),
        mirror=values["mirror"],
        subject=values["subject"],
        since=details.since,
        opened_at=values["opened_at"],
        what=filled(SAYINGS[rule].holds, details.facts, max(len(details.tags), 1)),
        error=details.error,
        unsent=values["unsent"],
    )
