"""The flow `report`: figures of the history as artifacts, and a round of alerting.

    report(since="7d")

Scheduled a few times an hour, it also sends messages that waited for a channel or for the end of
the quiet hours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.orchestration import (
    alert_rows,
    goal_rows,
    key,
    living_alone,
    load_secret,
    markdown,
    publish_artifacts,
    redacting,
    run_name,
)
from mirror.alerts import (
    AlertRound,
    OpenAlert,
    evaluate_and_dispatch,
    note_credential_ends,
    read_open_alerts,
)
from mirror.config import load_settings
from mirror.history import (
    Part,
    Report,
    create_engine,
    database_url,
    prepare,
    read_report,
    with_repositories,
)
from mirror.outcome import utcnow
from mirror.units import parse_duration

BUDGET = 45.0  # seconds of sending


@flow(name="report", flow_run_name=run_name("report {since}"), persist_result=False)
@living_alone
async def report(since: str = "7d") -> State[None]:
    """Alert, then report on a span of time in artifacts.

    A channel that fails is a warning in this run's log: its messages are kept and sent later.

    Args:
        since: The span of time, such as 7d or 36h.
    """
    span = parse_duration(since)
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    alerted = await alert_task()
    log = get_run_logger()
    failures = list(alerted.dispatched.failures.values())
    for failure in failures:
        log.warning("%s", failure)
    engine = create_engine(url)
    try:
        figures = await asyncio.to_thread(read_report, engine, span, parts=Part.FAILURES)
        alerts = await asyncio.to_thread(read_open_alerts, engine)
    finally:
        engine.dispose()
    await _publish(figures, alerts, failures)
    changes = alerted.changes
    return Completed(
        message=f"{len(figures.mirrors)} mirrors, {len(alerts)} open alerts"
        f" ({changes.opened} new, {changes.closed} closed), {alerted.dispatched.sent} messages sent"
    )


@task(name="alert", task_run_name="alert", cache_policy=NO_CACHE, persist_result=False)
@redacting
async def alert_task() -> AlertRound:
    """One round of alerting, after recording when the credentials expire."""
    settings = load_settings()
    url = await asyncio.to_thread(database_url)
    engine = create_engine(url)
    try:
        known = await asyncio.to_thread(with_repositories, settings, url)
        await asyncio.to_thread(note_credential_ends, known, engine, utcnow(), load_secret)
    finally:
        engine.dispose()
    return await evaluate_and_dispatch(settings, url, budget=BUDGET)


async def _publish(figures: Report, alerts: Sequence[OpenAlert], failures: Sequence[str]) -> None:
    await publish_artifacts(
        acreate_markdown_artifact(
            key=key("report"),
            markdown=markdown(figures, alerts, failures),
            description="Goals, state, alerts and failures of all mirrors",
        ),
        acreate_table_artifact(
            key=key("report", "goals"),
            table=goal_rows(figures),
            description="Goals of each mirror, met or missed, with their number of samples",
        ),
        acreate_table_artifact(
            key=key("report", "alerts"),
            table=alert_rows(alerts),
            description="Alerts that are open",
        ),
    )
