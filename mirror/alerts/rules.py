"""The rules, each a query on the history (sql/<rule>.sql) that returns what holds at a moment.

Every query returns the columns of an AlertFinding: mirror_id, mirrors, subject, since, tags,
reason, error, flow_run_id, facts. It may use these parameters: now, mirrors (names), retries,
missed, quota_low, pull_failures, pull_samples, expires_within.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from importlib.resources import files

import sqlalchemy as sa

from mirror.alerts.alert_finding import AlertFinding
from mirror.config import AlertRule, Settings
from mirror.history import LATE_SCHEDULES, AlertDetails


@cache
def query(rule: AlertRule) -> sa.TextClause | None:
    """The rule's query; None for what the history cannot know while it holds."""
    if rule is AlertRule.DATABASE_AWAY:
        return None
    if rule is AlertRule.SCHEDULE_LATE:  # `mirror status` and /healthz ask the same
        return LATE_SCHEDULES
    source = files("mirror.alerts").joinpath("sql", f"{rule.value}.sql")
    return sa.text(source.read_text(encoding="utf-8"))


def find(
    connection: sa.Connection,
    settings: Settings,
    now: datetime,
    rules: Iterable[AlertRule] = AlertRule,
) -> list[AlertFinding]:
    """What the enabled rules find at the moment `now`, rule by rule."""
    alerting = settings.alerting
    values = {
        "now": now,
        "mirrors": list(settings.mirrors),
        "retries": settings.retry.times,
        "missed": alerting.missed_runs,
        "quota_low": alerting.quota_low,
        "pull_failures": alerting.pull_failures,
        "pull_samples": alerting.pull_samples,
        "expires_within": alerting.expires_within,
    }
    return [
        AlertFinding(
            rule,
            row.mirror_id,
            row.subject,
            AlertDetails(
                since=row.since,
                mirrors=row.mirrors,
                tags=row.tags,
                reason=row.reason,
                error=row.error,
                flow_run_id=row.flow_run_id,
                facts=row.facts,
            ),
        )
        for rule in rules
        if alerting.enabled(rule) and (statement := query(rule)) is not None
        for row in connection.execute(statement, values)
    ]
