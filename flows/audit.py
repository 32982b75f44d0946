"""The flow `audit(mirror)`: what the target really holds, against the source and the record.

What differs is written down and handed over: the next sync of the mirror, the watch's too, copies
those tags again. An audit takes no lock, so that it may run for hours beside the syncs; what a
sync has brought over meanwhile is not reported and not handed over.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.orchestration import OutcomeError, key, load_secret
from mirror.checks import Audited, AuditLook, AuditReport, AuditSides, audit as look_at, open_paced
from mirror.config import MirrorSettings, load_settings
from mirror.history import AuditOutcome, Finding, Record, database_url, mirror_row, prepare
from mirror.outcome import Reason, Requests, TagFailure, utcnow
from mirror.registry import RegistryError
from mirror.sync import tag_rules_of

REQUESTS_A_SECOND = 10.0
SAMPLE = 10  # blobs fetched and hashed by an audit that is not deep
_ROWS = 200


@flow(name="audit", flow_run_name="audit {mirror}", persist_result=False)
async def audit(
    mirror: str, deep: bool = False, rate: float = REQUESTS_A_SECOND, sample: int = SAMPLE
) -> State[AuditReport]:
    """Audit one mirror of mirrors.yaml. The state's data is the AuditReport.

    Every tag, child and blob is looked at; `sample` blobs, or with `deep` all, are fetched and
    hashed. At most `rate` requests a second go out. A run that finds a difference is Completed
    with the name Differs; one that cannot be finished is Failed.
    """
    report = await run_audit(mirror, deep=deep, rate=rate, sample=sample)
    log = get_run_logger()
    for finding in report.findings:
        log.warning("%s: %s: %s", finding.tag, finding.kind.value, finding.message)
    await _publish(report)
    if report.failure is not None:
        return Failed(
            message=report.failure.message, data=OutcomeError(report.failure.message, report)
        )
    if report.findings:
        message = f"{len(report.findings)} differences, {len(report.handed_over)} tags handed over"
        return Completed(name="Differs", message=message, data=report)
    return Completed(message=f"{report.tags} tags are as they should be", data=report)


async def run_audit(name: str, *, deep: bool, rate: float, sample: int) -> AuditReport:
    """The work of the flow, for a mirror by name. Must be called within a flow run.

    Raises ConfigError for an unknown mirror and DatabaseError when the record cannot be reached.
    """
    settings = load_settings()
    mirror = settings.mirror(name)
    url = database_url()
    await asyncio.to_thread(prepare, url)
    async with Record.open(url) as record:
        await record.ensure_mirror(mirror_row(mirror))
        started = utcnow()
        known = await record.known_tags(name)
        failure: TagFailure | None = None
        audited = Audited(0, ())
        async with open_paced(settings, mirror, rate, load_secret) as sides:
            look = AuditLook(
                sides.source, sides.target, tag_rules_of(mirror), known, None if deep else sample
            )
            try:
                audited = await look_task(AuditWork(mirror, sides, look))
            except RegistryError as error:
                failure = TagFailure(None, Reason(error.reason), str(error))
            requests = sides.requests
        outcome = _outcome(name, started, deep, audited, requests, failure)
        written = await record.add_audit(outcome)
    return AuditReport(
        mirror=name,
        audit_id=written.audit_id,
        deep=deep,
        started_at=started,
        ended_at=outcome.ended_at,
        tags=audited.tags,
        blobs_checked=audited.blobs_checked,
        blobs_hashed=audited.blobs_hashed,
        bytes_hashed=audited.bytes_hashed,
        requests=requests,
        findings=audited.findings,
        handed_over=written.handed_over,
        failure=failure,
    )


class AuditWork:
    """What the task works with: a plain class, which Prefect does not look through."""

    def __init__(self, mirror: MirrorSettings, sides: AuditSides, look: AuditLook) -> None:
        self.mirror = mirror
        self.sides = sides
        self.look = look


@task(name="look", task_run_name="look", cache_policy=NO_CACHE, persist_result=False)
async def look_task(work: AuditWork) -> Audited:
    """Look at both sides."""
    return await look_at(work.look)


def _outcome(
    mirror: str,
    started: datetime,
    deep: bool,
    audited: Audited,
    requests: Requests,
    failure: TagFailure | None,
) -> AuditOutcome:
    return AuditOutcome(
        mirror=mirror,
        started_at=started,
        ended_at=utcnow(),
        deep=deep,
        tags=audited.tags,
        blobs_checked=audited.blobs_checked,
        blobs_hashed=audited.blobs_hashed,
        bytes_hashed=audited.bytes_hashed,
        sound=audited.sound,
        requests=requests.source + requests.target,
        findings=tuple(
            Finding(found.tag, found.kind.value, found.message, found.digest, found.kind.repair)
            for found in audited.findings
        ),
        failure=failure,
    )


async def _publish(report: AuditReport) -> None:
    rows = [
        {"tag": found.tag, "finding": found.kind.value, "message": found.message}
        for found in report.findings[:_ROWS]
    ]
    await acreate_table_artifact(
        key=key("audit", report.mirror),
        table=rows,
        description=f"Last audit of {report.mirror}: {report.tags} tags,"
        f" {report.blobs_checked} blobs seen, {report.blobs_hashed} hashed",
    )
