"""One round of alerting: evaluate the rules, update the alerts, send what is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from mirror.alerts.causes import by_cause, settling
from mirror.alerts.channels import open_channels
from mirror.alerts.dispatch import DispatchResult, dispatch
from mirror.alerts.outbox import Outbox
from mirror.alerts.rules import find
from mirror.alerts.state import AlertChanges, lock_alerts, update_alerts
from mirror.config import AlertRule, Settings, named
from mirror.history import (
    AlertDetails,
    AlertRecord,
    PostgresRecorder,
    create_engine,
    mirror_row,
    reachable,
    with_repositories,
)
from mirror.outcome import utcnow

BUDGET = 5.0  # seconds of sending after a sync

_BACK = sa.text("""
    SELECT max(closed_at) FROM alert
    WHERE rule = 'database_away' AND opened_at > CAST(:since AS timestamptz) - interval '90 days'
        AND closed_at > :since AND closed_at <= :now  -- the clock may have been set back
""")


@dataclass(frozen=True, slots=True)
class AlertRound:
    """What one round of alerting did."""

    changes: AlertChanges
    dispatched: DispatchResult


async def evaluate_and_dispatch(
    settings: Settings,
    url: str,
    *,
    clock: Callable[[], datetime] = utcnow,
    budget: float = BUDGET,
) -> AlertRound:
    """Evaluate every rule, then send messages for at most `budget` seconds.

    `url` is the history database's (mirror.history.database_url()). Channels that fail are in the
    result and keep their messages for the next round; raises only DatabaseAway.
    """
    engine = create_engine(url)
    try:
        with reachable(url):
            settings = await asyncio.to_thread(with_repositories, settings, url)
            await _add_new_mirrors(settings, url, engine)
            changes = await asyncio.to_thread(evaluate, settings, engine, clock())
            channels = open_channels(named(settings.alerts))
            dispatched = await dispatch(Outbox(engine), channels, clock, budget)
    finally:
        engine.dispose()
    return AlertRound(changes, dispatched)


def evaluate(settings: Settings, engine: sa.Engine, now: datetime) -> AlertChanges:
    """Open, repeat and close alerts according to what the rules find at that moment."""
    with Session(engine) as session, session.begin():
        lock_alerts(session)
        findings = find(session.connection(), settings, now)
        back_at = session.scalar(_BACK, {"since": now - settling(settings), "now": now})
        causes = by_cause(findings, settings, back_at)
        return update_alerts(session, causes, settings, named(settings.alerts), now)


def record_outage(
    settings: Settings, url: str, since: datetime, now: datetime, why: str | None = None
) -> None:
    """Write a time in which nothing could be recorded as a closed alert. Sends nothing."""
    details = AlertDetails(since=since, mirrors=tuple(settings.mirrors), error=why)
    engine = create_engine(url)
    try:
        with Session(engine) as session, session.begin():
            session.add(
                AlertRecord(
                    rule=AlertRule.DATABASE_AWAY.value,
                    severity=settings.alerting.severity(AlertRule.DATABASE_AWAY).value,
                    opened_at=since,
                    seen_at=now,
                    closed_at=now,
                    details=details.model_dump(mode="json"),
                )
            )
    finally:
        engine.dispose()


async def _add_new_mirrors(settings: Settings, url: str, engine: sa.Engine) -> None:
    """Record mirrors that have never run, so that no_success can find them."""
    unknown = settings.mirrors.keys() - await asyncio.to_thread(_known, engine)
    if unknown:
        async with PostgresRecorder.open(url) as record:
            for name in sorted(unknown):
                await record.ensure_mirror(mirror_row(settings.mirrors[name]))


def _known(engine: sa.Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(sa.text("SELECT name FROM mirror")))
