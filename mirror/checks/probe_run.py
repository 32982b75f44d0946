"""One probe: rounds of pulls over the sources of some mirrors, and their pull counts."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from mirror.checks.aliyun_counts import AliyunAccount, CountUnknown
from mirror.checks.by_source import by_source
from mirror.checks.check_recorder import CheckRecorder
from mirror.checks.probe_report import ProbeReport
from mirror.checks.probe_round import ProbePlan, ProbeRound, ProbeTask, pull_round
from mirror.checks.pull import choose_tag
from mirror.checks.pull_counts import pulls_of
from mirror.config import MirrorSettings, Settings, anonymous
from mirror.history import ProbePull, PullCounted, mirror_row
from mirror.outcome import utcnow
from mirror.registry import Reference, Registry

Step = Callable[[ProbeTask], Awaitable[ProbeRound]]
MOST_OF_AN_ENTRY = 10


async def run_probe(
    settings: Settings,
    mirrors: Sequence[MirrorSettings],
    recorder: CheckRecorder,
    plan: ProbePlan,
    *,
    tag: str | None = None,
    aliyun: AliyunAccount | None = None,
    step: Step = pull_round,
) -> tuple[ProbeReport, ...]:
    """Pull from the mirrors and their sources, count pulls, and write both to the history.

    `tag`: the one to pull, for each mirror the choice of choose_tag() otherwise. `aliyun`: the key
    that may read Aliyun's pull counts. `step` runs one round; a flow makes a task of it. Failed
    pulls are in the reports; raises DatabaseAway.
    """
    reports: list[ProbeReport] = []
    for group in by_source(mirrors):
        probed = await _probe_source(settings, group, recorder, plan, tag, step)
        warnings = await _count_pulls(settings, group, recorder, aliyun)
        reports += [replace(r, warnings=(*r.warnings, *warnings)) for r in probed]
    return tuple(reports)


def sampled(settings: Settings) -> list[MirrorSettings]:
    """The mirrors of a scheduled round: all with a separate entry, some of the others.

    Pulls cost bytes: of an entry for many repositories, other ones are pulled each time.
    """
    grouped: dict[str, list[MirrorSettings]] = defaultdict(list)
    for mirror in settings.mirrors.values():
        grouped[mirror.name.partition("/")[0]].append(mirror)
    return [
        mirror
        for group in grouped.values()
        for mirror in random.sample(group, min(len(group), MOST_OF_AN_ENTRY))
    ]


async def _probe_source(
    settings: Settings,
    mirrors: Sequence[MirrorSettings],
    recorder: CheckRecorder,
    plan: ProbePlan,
    tag: str | None,
    step: Step,
) -> list[ProbeReport]:
    """A round for each tag chosen by the mirrors of one source: usually one for them all."""
    started = utcnow()
    by_tag: dict[str, list[MirrorSettings]] = defaultdict(list)
    reports: list[ProbeReport] = []
    for mirror in mirrors:
        await recorder.ensure_mirror(mirror_row(mirror))
        chosen = tag or choose_tag(await recorder.known_tags(mirror.name))
        if chosen is None:
            message = "no tag is in sync yet, so there is nothing to pull; sync first"
            reports.append(
                ProbeReport(
                    mirror.name, started, None, plan.platform, plan.place, None, None, (message,)
                )
            )
        else:
            by_tag[chosen].append(mirror)
    for chosen, group in by_tag.items():
        measured = await step(ProbeTask(settings, tuple(group), chosen, plan))
        if measured.quota is not None:
            await recorder.add_quota(measured.quota)
        await recorder.add_probes(_rows(measured.reports))
        reports += measured.reports
    return reports


async def _count_pulls(
    settings: Settings,
    mirrors: Sequence[MirrorSettings],
    recorder: CheckRecorder,
    aliyun: AliyunAccount | None,
) -> tuple[str, ...]:
    """Record the pull counts of a source and its mirrors; why those that failed are unknown."""
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
            await recorder.add_pull_count(PullCounted(name, pulls, utcnow()))
    return tuple(warnings)


def _rows(reports: Iterable[ProbeReport]) -> list[ProbePull]:
    return [
        ProbePull(
            mirror=report.mirror,
            probed_at=report.probed_at,
            tag=report.tag or "",
            side=side,
            well=pull.well,
            digest=pull.digest,
            first_byte_seconds=pull.first_byte_seconds,
            seconds=pull.seconds,
            bytes=pull.bytes,
            place=report.place,
            reason=pull.reason,
            message=pull.message,
            lost=pull.lost,
        )
        for report in reports
        for side, pull in report.pulls
    ]
