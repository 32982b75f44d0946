"""The flow `probe`: pull from source and mirrors as a user does, and count pulls.

It runs every 15 minutes. The tables probe and pull_count keep what it measures: speed and failures
of pulls by mirror, and how often each repository has been pulled, where its registry reports that.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.orchestration import key, living_alone, publish_artifacts, redacting, run_name
from mirror.checks import (
    PLATFORM,
    AliyunAccount,
    ProbePlan,
    ProbeReport,
    ProbeRound,
    pull_round,
    run_probe,
    sampled,
)
from mirror.config import load_settings
from mirror.history import PostgresRecorder, database_url, prepare, with_repositories

MEGABYTES = 32  # of layers that a pull reads; enough for a line to come up to speed


@flow(name="probe", flow_run_name=run_name("probe {mirror}"), persist_result=False)
@living_alone
async def probe(
    mirror: str | list[str] | None = None,
    tag: str | None = None,
    megabytes: int = MEGABYTES,
    platform: str = PLATFORM,
) -> State[tuple[ProbeReport, ...]]:
    """Probe one mirror of mirrors.yaml, several, or all of them. The state's data are the reports.

    MIRROR_PLACE names where this runs. A run in which a pull failed is Completed with the name
    Partial: the failure is measured.

    Args:
        mirror: One mirror of mirrors.yaml, a list of them, or empty for all.
        tag: Which to pull; empty: `latest` where source and mirror agree on it, else the newest
            tag that is in sync.
        megabytes: How much of the layers to read; 0 for all.
        platform: Which platform to pull.

    Raises ConfigError for an unknown mirror and DatabaseError when the database cannot be reached.
    """
    settings = load_settings()
    if mirror is not None:
        mirrors = [settings.mirror(m) for m in ([mirror] if isinstance(mirror, str) else mirror)]
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    if mirror is None:
        settings = await asyncio.to_thread(with_repositories, settings, url)
        mirrors = sampled(settings)
    plan = ProbePlan(platform, megabytes * 1_000_000 or None, os.environ.get("MIRROR_PLACE", ""))
    async with PostgresRecorder.open(url) as record:
        reports = await run_probe(
            settings,
            mirrors,
            record,
            plan,
            tag=tag,
            aliyun=AliyunAccount.from_environment(os.environ),
            step=lambda work: pull_task(work.tag, partial(pull_round, work)),
        )
    _log(reports)
    await _publish(reports)
    name = None if all(report.well for report in reports) else "Partial"
    return Completed(name=name, message=f"{len(reports)} mirrors probed", data=reports)


@task(name="pull", task_run_name="pull {tag}", cache_policy=NO_CACHE, persist_result=False)
@redacting
async def pull_task(tag: str, pull: Callable[[], Awaitable[ProbeRound]]) -> ProbeRound:
    """One round of pulls. Takes a callable: Prefect looks through dataclasses, however large."""
    return await pull()


def _log(reports: Sequence[ProbeReport]) -> None:
    log = get_run_logger()
    for report in reports:
        for warning in report.warnings:
            log.warning("%s: %s", report.mirror, warning)
        for side, pull in report.pulls:
            if pull.message is not None:
                log.error("%s: pull from the %s: %s", report.mirror, side, pull.message)


async def _publish(reports: Sequence[ProbeReport]) -> None:
    rows = [
        {
            "mirror": report.mirror,
            "tag": report.tag,
            "side": side,
            "first byte, s": pull.first_byte_seconds and round(pull.first_byte_seconds, 3),
            "seconds": round(pull.seconds, 2),
            "bytes": pull.bytes,
            "bytes/s": pull.bytes_per_second and round(pull.bytes_per_second),
            "failure": pull.reason.value if pull.reason else None,
        }
        for report in reports
        for side, pull in report.pulls
    ]
    await publish_artifacts(
        acreate_table_artifact(
            key=key("probe"), table=rows, description="Pulls of the last probe, by mirror and side"
        )
    )
