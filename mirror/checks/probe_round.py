"""Probe rounds: who is pulled from, and in which order.

A round pulls one tag from a source and from each mirror of it, one after the other so that they
do not share the line, all within a minute: only pulls of one round and one digest are compared.
Pulls of a source are made once a round however many mirrors it has, since at Docker Hub each costs
two of the quota (the index and the platform's manifest).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mirror.checks.probe_report import ProbeReport
from mirror.checks.pull import Pull, PullPlan, pull
from mirror.config import MirrorSettings, Settings, anonymous
from mirror.outcome import Quota
from mirror.registry import Reference, Registry, RegistryError, RetryPolicy
from mirror.sync import tag_rules_of

ROUND_SECONDS = 55.0  # all pulls of a round together, at most: they share a minute
_PATIENCE = 25.0  # seconds, of one pull at most
QUOTA_RESERVE = 0.2  # the share of a pull quota that is left to the syncs


@dataclass(frozen=True)
class ProbePlan:
    """What a round pulls."""

    tag: str
    platform: str
    most: int | None  # bytes of layers, None for all
    place: str


@dataclass(frozen=True)
class ProbeRound:
    """A round that was made."""

    reports: tuple[ProbeReport, ...]
    quota: Quota | None


async def run_round(
    settings: Settings, mirrors: Sequence[MirrorSettings], plan: ProbePlan, at: datetime
) -> ProbeRound:
    """Pull from the source that the mirrors share, then from each of them."""
    patience = min(_PATIENCE, ROUND_SECONDS / (1 + len(mirrors)))
    source = mirrors[0].source
    quota, warning = await _quota(settings, source, plan.tag)
    at_source = None
    if warning is None:
        at_source = await _pull(settings, source, plan.tag, plan, patience)
    reports = []
    for mirror in mirrors:
        name = tag_rules_of(mirror).target_name(plan.tag)
        at_target = await _pull(settings, mirror.target, name, plan, patience)
        reports.append(
            ProbeReport(
                mirror=mirror.name,
                probed_at=at,
                tag=plan.tag,
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
    """Pull on connections of its own, as a docker that was just started."""
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
            return None, None  # the pull itself will tell what is wrong
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
        f"{reference.registry} was not pulled from: {reading.remaining} of {reading.limit} pulls"
        " are left in its quota, and the syncs go first"
    )
