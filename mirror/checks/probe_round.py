"""A probe round: one tag pulled from a source and from each mirror of it.

The pulls follow one another, so that they do not share the line, and all start within a minute:
only pulls of one round and one digest are compared. A source is pulled once a round however many
mirrors it has, since at Docker Hub each pull costs two of the quota (the index and the platform's
manifest).
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror.checks.probe_report import ProbeReport
from mirror.checks.pull import PLATFORM, Pull, PullPlan, pull
from mirror.config import MirrorSettings, Settings, anonymous
from mirror.outcome import Quota, utcnow
from mirror.registry import Reference, Registry, RegistryError, RetryPolicy
from mirror.sync import tag_rules_of

ROUND_SECONDS = 55.0  # all pulls of a round together, at most: they share a minute
_PATIENCE = 25.0  # seconds, of one pull at most
QUOTA_RESERVE = 0.2  # the share of a pull quota that is left to the syncs


@dataclass(frozen=True)
class ProbePlan:
    """How a probe pulls, and where it runs."""

    platform: str = PLATFORM
    most: int | None = None  # bytes of layers, None for all
    place: str = ""


@dataclass(frozen=True)
class ProbeTask:
    """One round: a tag, and mirrors that share a source."""

    settings: Settings
    mirrors: tuple[MirrorSettings, ...]
    tag: str  # at the source
    plan: ProbePlan


@dataclass(frozen=True)
class ProbeRound:
    """What a round measured."""

    reports: tuple[ProbeReport, ...]
    quota: Quota | None


async def pull_round(task: ProbeTask) -> ProbeRound:
    """Pull from the source that the mirrors share, then from each of them."""
    started, settings, plan = utcnow(), task.settings, task.plan
    patience = min(_PATIENCE, ROUND_SECONDS / (1 + len(task.mirrors)))
    source = task.mirrors[0].source
    quota, warning = await _quota(settings, source, task.tag)
    at_source = None
    if warning is None:
        at_source = await _pull(settings, source, task.tag, plan, patience)
    reports = []
    for mirror in task.mirrors:
        name = tag_rules_of(mirror).target_name(task.tag)
        at_target = await _pull(settings, mirror.target, name, plan, patience)
        reports.append(
            ProbeReport(
                mirror=mirror.name,
                probed_at=started,
                tag=task.tag,
                platform=plan.platform,
                place=plan.place,
                source=at_source,
                target=at_target,
                warnings=(warning,) if warning else (),
            )
        )
    return ProbeRound(tuple(reports), quota)


async def _pull(
    settings: Settings, repository: str, tag: str, plan: ProbePlan, patience: float
) -> Pull:
    """Pull on new connections, as a docker that was just started."""
    reference = Reference.parse(repository)
    reached = anonymous(settings, reference.registry)
    async with Registry(reached, retry=RetryPolicy(attempts=1)) as registry:
        return await pull(
            registry.repository(reference.repository),
            PullPlan(tag, plan.platform, plan.most, patience),
        )


async def _quota(settings: Settings, source: str, tag: str) -> tuple[Quota | None, str | None]:
    """What is left of the source's pull quota, by a HEAD that costs none; and why to spare it."""
    reference = Reference.parse(source)
    async with Registry(anonymous(settings, reference.registry)) as registry:
        try:
            await registry.repository(reference.repository).head_manifest(tag)
        except RegistryError:
            return None, None  # the pull itself reports what is wrong
        reading = registry.quota
    if reading is None:
        return None, None
    quota = Quota(
        registry=reference.registry,
        account=None,
        limit=reading.limit,
        remaining=reading.remaining,
        window_seconds=reading.window_seconds,
        read_at=reading.read_at,
    )
    if reading.remaining >= reading.limit * QUOTA_RESERVE:
        return quota, None
    return quota, (
        f"no pull from {reference.registry}: {reading.remaining} of {reading.limit} pulls left in"
        " its quota, which are reserved for the syncs"
    )
