"""The flow `probe`: pull from source and mirrors as a user does, and count pulls.

It runs every 15 minutes. What it measures stands in the tables probe and pull_count: speed and
failures of pulls by mirror, and how often each repository has been pulled where its registry tells.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.orchestration import key
from mirror.checks import (
    AliyunAccount,
    CountUnknown,
    ProbePlan,
    ProbeReport,
    ProbeRound,
    Pull,
    choose_tag,
    pulls_of,
    run_round,
)
from mirror.config import MirrorSettings, Settings, anonymous, load_settings
from mirror.history import ProbePull, PullCounted, Record, database_url, mirror_row, prepare
from mirror.outcome import utcnow
from mirror.registry import Reference, Registry

MEGABYTES = 32  # of layers that a pull reads; enough for a line to come up to speed
PLATFORM = "linux/amd64"


@flow(name="probe", persist_result=False)
async def probe(
    mirror: str | list[str] | None = None,
    tag: str | None = None,
    megabytes: int = MEGABYTES,
    platform: str = PLATFORM,
) -> State[tuple[ProbeReport, ...]]:
    """Probe one mirror of mirrors.yaml, several, or all of them. The state's data are the reports.

    `tag`: which to pull; otherwise `latest` where source and mirror agree on it, else the newest
    tag that is in sync. `megabytes` of layers are read, 0 for all. MIRROR_PLACE names where this
    runs. A run in which a pull failed is Completed with the name Partial: the failure is measured.
    """
    reports = await run_probe(mirror, tag=tag, megabytes=megabytes, platform=platform)
    log = get_run_logger()
    for report in reports:
        for warning in report.warnings:
            log.warning("%s: %s", report.mirror, warning)
        for side, pulled in _sides(report):
            if pulled.message is not None:
                log.error("%s: pull from the %s: %s", report.mirror, side, pulled.message)
    await _publish(reports)
    name = None if all(report.well for report in reports) else "Partial"
    return Completed(name=name, message=f"{len(reports)} mirrors probed", data=reports)


async def run_probe(
    mirror: str | list[str] | None,
    *,
    tag: str | None,
    megabytes: int,
    platform: str,
) -> tuple[ProbeReport, ...]:
    """The work of the flow. Must be called within a flow run.

    Raises ConfigError for an unknown mirror and DatabaseError when the record cannot be reached.
    """
    settings = load_settings()
    names = list(settings.mirrors) if mirror is None else mirror
    chosen = [settings.mirror(name) for name in ([names] if isinstance(names, str) else names)]
    url = database_url()
    await asyncio.to_thread(prepare, url)
    place = os.environ.get("MIRROR_PLACE", "")
    reports: list[ProbeReport] = []
    async with Record.open(url) as record:
        for mirrors in _by_source(chosen):
            plan = ProbePlan("", platform, megabytes * 1_000_000 or None, place)
            made = await _probe_source(settings, record, mirrors, plan, tag)
            warnings = await _count(settings, record, mirrors)
            reports += [replace(r, warnings=(*r.warnings, *warnings)) for r in made]
    return tuple(reports)


async def _probe_source(
    settings: Settings,
    record: Record,
    mirrors: Sequence[MirrorSettings],
    plan: ProbePlan,
    tag: str | None,
) -> tuple[ProbeReport, ...]:
    """A round for each tag that the mirrors of one source want pulled: mostly one for them all."""
    at = utcnow()
    by_tag: dict[str, list[MirrorSettings]] = defaultdict(list)
    reports: list[ProbeReport] = []
    for mirror in mirrors:
        await record.ensure_mirror(mirror_row(mirror))
        wanted = tag or choose_tag(await record.known_tags(mirror.name))
        if wanted is None:
            message = "no tag is in sync yet, so there is nothing to pull; sync first"
            reports.append(
                ProbeReport(
                    mirror.name, at, None, plan.platform, plan.place, None, None, (message,)
                )
            )
        else:
            by_tag[wanted].append(mirror)
    for wanted, group in by_tag.items():
        work = ProbeWork(settings, group, replace(plan, tag=wanted))
        made = await pull_task(work)
        if made.quota is not None:
            await record.add_quota(made.quota)
        await record.add_probes(_rows(made.reports))
        reports += made.reports
    return tuple(reports)


class ProbeWork:
    """What the task works with: a plain class, which Prefect does not look through."""

    def __init__(
        self, settings: Settings, mirrors: Sequence[MirrorSettings], plan: ProbePlan
    ) -> None:
        self.settings = settings
        self.mirrors = mirrors
        self.plan = plan
        self.tag = plan.tag


@task(name="pull", task_run_name="pull {work.tag}", cache_policy=NO_CACHE, persist_result=False)
async def pull_task(work: ProbeWork) -> ProbeRound:
    """One round of pulls."""
    return await run_round(work.settings, work.mirrors, work.plan, utcnow())


async def _count(
    settings: Settings, record: Record, mirrors: Sequence[MirrorSettings]
) -> tuple[str, ...]:
    """Write the pull counts of the source and its mirrors that are told; why one was not."""
    aliyun = AliyunAccount.from_environment(os.environ)
    warnings = []
    for name in dict.fromkeys([mirrors[0].source, *(mirror.target for mirror in mirrors)]):
        reference = Reference.parse(name)
        async with Registry(anonymous(settings, reference.registry)) as registry:
            try:
                pulls = await pulls_of(registry, reference.repository, aliyun)
            except CountUnknown as error:
                warnings.append(str(error))
                continue
        if pulls is not None:
            await record.add_pull_count(PullCounted(name, pulls, utcnow()))
    return tuple(warnings)


def _by_source(mirrors: Iterable[MirrorSettings]) -> list[list[MirrorSettings]]:
    sources: dict[str, list[MirrorSettings]] = defaultdict(list)
    for mirror in dict.fromkeys(mirrors):
        sources[mirror.source].append(mirror)
    return list(sources.values())


def _sides(report: ProbeReport) -> list[tuple[str, Pull]]:
    sides = {"source": report.source, "target": report.target}
    return [(side, pulled) for side, pulled in sides.items() if pulled is not None]


def _rows(reports: Iterable[ProbeReport]) -> list[ProbePull]:
    return [
        ProbePull(
            mirror=report.mirror,
            probed_at=report.probed_at,
            tag=report.tag or "",
            side=side,
            well=pulled.well,
            digest=pulled.digest,
            first_byte_seconds=pulled.first_byte_seconds,
            seconds=pulled.seconds,
            bytes=pulled.bytes,
            place=report.place,
            reason=pulled.reason,
            message=pulled.message,
        )
        for report in reports
        for side, pulled in _sides(report)
    ]


async def _publish(reports: Sequence[ProbeReport]) -> None:
    rows = [
        {
            "mirror": report.mirror,
            "tag": report.tag,
            "side": side,
            "first byte, s": pulled.first_byte_seconds and round(pulled.first_byte_seconds, 3),
            "seconds": round(pulled.seconds, 2),
            "bytes": pulled.bytes,
            "bytes/s": pulled.bytes_per_second and round(pulled.bytes_per_second),
            "failure": pulled.reason.value if pulled.reason else None,
        }
        for report in reports
        for side, pulled in _sides(report)
    ]
    await acreate_table_artifact(
        key=key("probe"), table=rows, description="Pulls of the last probe, by mirror and side"
    )
