"""The flow `audit-entry`: audit the repositories of one entry of mirrors.yaml in turn.

It runs every hour and audits those whose turn it is, so that each repository is audited once a day
and the registries are asked evenly, however many repositories there are.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from math import ceil
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.audit import audit
from flows.orchestration import (
    AUDIT_EVERY,
    AUDIT_TURN,
    OutcomeError,
    living_alone,
    outcome_as,
    run_name,
)
from mirror.checks import REQUESTS_A_SECOND, SAMPLE, AuditReport
from mirror.config import load_settings
from mirror.errors import ConfigError
from mirror.history import database_url, prepare, read_last_audits, with_repositories
from mirror.outcome import utcnow


@flow(name="audit-entry", flow_run_name=run_name("audit {entry}"), persist_result=False)
@living_alone
async def audit_entry(
    entry: str, rate: float = REQUESTS_A_SECOND, sample: int = SAMPLE
) -> State[tuple[AuditReport, ...]]:
    """Audit the repositories of one entry whose last audit is a day old, the oldest first.

    The state's data are the AuditReports. A run that finds a difference is Completed with the name
    Differs; one in which no audit could be completed is Failed.

    Args:
        entry: Its name in mirrors.yaml.
        rate: Requests a second, at most.
        sample: How many blobs of each repository to fetch and hash.

    Raises ConfigError for an unknown entry and DatabaseError when the database cannot be reached.
    """
    settings = load_settings()
    if entry not in settings.entries:
        raise ConfigError(f"{settings.path}: {entry!r} is no entry for many repositories")
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    known = await asyncio.to_thread(with_repositories, settings, url)
    last = await asyncio.to_thread(read_last_audits, url, known.mirrors_of(entry))
    reports = []
    for name in whose_turn(last, utcnow()):
        state: Any = await audit(mirror=name, rate=rate, sample=sample, return_state=True)
        reports.append(await outcome_as(state, AuditReport, f"the audit of {name}"))
    return _state(tuple(reports))


def whose_turn(last: dict[str, datetime | None], now: datetime) -> tuple[str, ...]:
    """The mirrors to audit in this run, by when each was audited last: at most an hour's share."""
    oldest = sorted(last, key=lambda name: (last[name] is not None, last[name] or now, name))
    due = [
        name
        for name in oldest
        if (at := last[name]) is None or at <= now - AUDIT_EVERY + AUDIT_TURN / 2
    ]
    return tuple(due[: ceil(len(last) * (AUDIT_TURN / AUDIT_EVERY))])


def _state(reports: tuple[AuditReport, ...]) -> State[tuple[AuditReport, ...]]:
    failures = [report.failure for report in reports if report.failure is not None]
    if failures and len(failures) == len(reports):
        message = failures[0].message
        return Failed(message=message, data=OutcomeError(message, reports))
    differing = [report.mirror for report in reports if not report.well]
    message = f"{len(reports)} repositories audited"
    if differing:
        message += f", {len(differing)} differ or could not be audited: {', '.join(differing[:5])}"
    return Completed(name="Differs" if differing else None, message=message, data=reports)
