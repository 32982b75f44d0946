"""The flow `audit(mirror)`: what the target really holds, against the source and the history.

Differences are recorded and handed over: the next sync of the mirror, one started by the watch
included, copies those tags again. An audit takes no lock, so it may run for hours alongside the
syncs; what a sync copies meanwhile is neither reported nor handed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.orchestration import (
    OutcomeError,
    key,
    living_alone,
    load_secret,
    publish_artifacts,
    redacting,
    run_name,
)
from mirror.checks import (
    REQUESTS_A_SECOND,
    SAMPLE,
    AuditReport,
    AuditResult,
    RateLimiter,
    audit as audit_repositories,
    open_audit_clients,
    run_audit,
)
from mirror.config import load_settings
from mirror.history import PostgresRecorder, database_url, prepare

_ROWS = 200


@flow(name="audit", flow_run_name=run_name("audit {mirror}"), persist_result=False)
@living_alone
async def audit(
    mirror: str,
    deep: bool = False,
    rate: float = REQUESTS_A_SECOND,
    sample: int = SAMPLE,
) -> State[AuditReport]:
    """Audit one mirror of mirrors.yaml. The state's data is the AuditReport.

    Every tag, child and blob is checked, and some blobs are fetched and hashed. A run that finds a
    difference is Completed with the name Differs; one that cannot be completed is Failed.

    Args:
        mirror: Its name in mirrors.yaml.
        deep: Fetch and hash all blobs, not only a sample.
        rate: Requests a second, at most.
        sample: How many blobs to fetch and hash.

    Raises ConfigError for an unknown mirror and DatabaseError when the database cannot be reached.
    """
    settings = load_settings()
    chosen = settings.mirror(mirror)
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    async with (
        PostgresRecorder.open(url) as record,
        open_audit_clients(settings, chosen, RateLimiter(rate), load_secret) as clients,
    ):
        report = await run_audit(
            chosen,
            record,
            clients,
            deep=deep,
            sample=sample,
            step=lambda request: look_task(mirror, partial(audit_repositories, request)),
        )
    log = get_run_logger()
    for finding in report.findings:
        log.warning("%s: %s: %s", finding.tag, finding.kind.value, finding.message)
    await _publish(report)
    return _state(report)


@task(name="look", task_run_name="look at {mirror}", cache_policy=NO_CACHE, persist_result=False)
@redacting
async def look_task(mirror: str, look: Callable[[], Awaitable[AuditResult]]) -> AuditResult:
    """Look at both sides. Takes a callable: Prefect looks through dataclasses, however large."""
    return await look()


def _state(report: AuditReport) -> State[AuditReport]:
    if report.failure is not None:
        message = report.failure.message
        return Failed(message=message, data=OutcomeError(message, report))
    if report.findings:
        message = f"{len(report.findings)} differences, {len(report.handed_over)} tags handed over"
        return Completed(name="Differs", message=message, data=report)
    return Completed(message=f"{report.tags} tags are in sync", data=report)


async def _publish(report: AuditReport) -> None:
    rows = [
        {"tag": found.tag, "finding": found.kind.value, "message": found.message}
        for found in report.findings[:_ROWS]
    ]
    await publish_artifacts(
        acreate_table_artifact(
            key=key("audit", report.mirror),
            table=rows,
            description=f"Last audit of {report.mirror}: {report.tags} tags,"
            f" {report.blobs_checked} blobs checked, {report.blobs_hashed} hashed",
        )
    )
