"""A week with a fault an hour: success, delays and alerts, against those that follow from it."""

from __future__ import annotations

import asyncio
import math
import os
import time as real_time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from mirror.config import ChannelSettings
from mirror.outcome import ChangeKind, RunStatus
from mirror.registry import Reference
from simulation.clock import Time, simulate
from simulation.expected import Alert, Expected
from simulation.faults import Faults
from simulation.ledger import Arrival, spread
from simulation.machine import Machine
from simulation.people import People
from simulation.world import HUB, World, open_world, shipped
from tests.alerts.robots import SECRET, TOKEN, Robots, serve_robots

_LAST = timedelta(minutes=160)  # without pushes and faults, so that everything can recover
_EVERYWHERE = ("database", "machine")  # faults there concern every mirror
_RATES = """
    SELECT sum(runs), sum(runs_succeeded), sum(runs_partial), sum(runs_failed),
           sum(runs_abandoned), sum(tags), sum(tags_succeeded), sum(tags_failed),
           sum(tags_abandoned)
    FROM report_success_rate WHERE mirror = %s
"""
_DELAYS = """
    SELECT delay_seconds FROM report_tag_history
    WHERE mirror = %s AND delay_from = 'pushed' AND pushed_at > %s
"""
_ALERTS = """
    SELECT rule, coalesce(mirror, ''), coalesce(subject, ''), opened_at, closed_at, sent, unsent
    FROM report_alerts ORDER BY opened_at, rule, mirror, subject
"""


def week(
    days: float,
    seed: int,
    pushes_a_day: float,
    watchdog: float = 60.0,
    patience: float = math.inf,
) -> dict[str, Any]:
    """So many simulated days, fewer after `patience` real seconds.

    `well` says whether the history agrees with what happened.
    """
    length, rng, began = timedelta(days=days), Random(seed), real_time.monotonic()
    os.environ |= {"FEISHU_TOKEN": TOKEN, "FEISHU_SECRET": SECRET}

    async def work(time: Time) -> dict[str, Any]:
        async with serve_robots(Robots(clock=time.monotonic, wall=time.unix)) as robots:
            channel = ChannelSettings.model_validate(
                {
                    "feishu": {
                        "token_env": "FEISHU_TOKEN",
                        "secret_env": "FEISHU_SECRET",
                        "url": robots.url,
                    }
                }
            )
            async with open_world(time, rng, shipped(alerts=(channel,))) as world:
                world.registries[HUB].pulls = None  # a quota is no fault of anybody
                machine = Machine(world, timedelta(seconds=watchdog))
                hits = await _live(world, machine, pushes_a_day, time.start + length, patience)
                return await _figures(world, machine, hits, robots)

    figures = simulate(work, datetime.now(UTC) - length, rng)
    figures = {"seed": seed, **figures}
    figures["seconds"] = round(real_time.monotonic() - began, 1)
    figures["well"] = not (figures["missing"] or figures["differences"] or figures["defects"])
    return figures


async def _live(
    world: World, machine: Machine, pushes_a_day: float, end: datetime, patience: float
) -> Faults:
    people = People(world, pushes_a_day)
    people.begin()
    faults = Faults(world, machine)
    running = [
        asyncio.create_task(work) for work in (machine.run(), faults.run(), world.forget_requests())
    ]
    try:
        await people.run(end - _LAST, patience)
        faults.over = True  # after the last one
        await asyncio.sleep(_LAST.total_seconds())
    finally:
        for task in running:
            task.cancel()
        ended = await asyncio.gather(*running, return_exceptions=True)
    faults.defects = [
        repr(one) for one in ended if one and not isinstance(one, asyncio.CancelledError)
    ]
    return faults


async def _figures(
    world: World, machine: Machine, faults: Faults, robots: Robots
) -> dict[str, Any]:
    differences: list[str] = []
    totals = Counter[str]()
    for name in world.settings.mirrors:
        worked_out = _rates(world, name)
        (said,) = await world.ask(_RATES, name)
        recorded = dict(zip(worked_out, map(int, said), strict=True))
        totals.update(worked_out)
        if recorded != worked_out:
            differences.append(f"{name}: {worked_out} happened, {recorded} is recorded")
        seen = spread(one for one in _delays(world, name))
        delays = spread(delay for (delay,) in await world.ask(_DELAYS, name, world.time.start))
        if seen != delays:
            differences.append(f"{name}: delays {seen} happened, {delays} are recorded")
    rows = await world.ask(_ALERTS)
    recorded_alerts = [Alert(tuple(row[:3]), row[3], row[4]) for row in rows]
    expected = Expected(world.settings, [*world.notes.runs.values()])
    alerts = expected.of(machine.rounds, machine.unanswered)
    differences += [
        f"alert only worked out: {_line(one)}" for one in alerts if one not in recorded_alerts
    ]
    differences += [
        f"alert only recorded: {_line(one)}" for one in recorded_alerts if one not in alerts
    ]
    messages = sum(2 if alert.closed_at else 1 for alert in alerts)
    if messages != len(robots.taken):
        differences.append(f"messages: {messages} worked out, {len(robots.taken)} sent")
    arrived = world.ledger.arrivals
    return {
        "days": round(world.time.monotonic() / 86400, 2),
        "faults": dict(Counter(hit.kind for hit in faults.hits)),
        "hits": [
            f"{hit.begins:%d %H:%M:%S}-{hit.ends:%H:%M:%S} {hit.kind} {hit.where}"
            for hit in faults.hits
        ],
        "pushes": len({push.digest for push in world.ledger.pushes}),
        **totals,
        "run_success": round(totals["runs_succeeded"] / max(1, totals["runs"]), 4),
        "tag_success": round(totals["tags_succeeded"] / max(1, totals["tags"]), 4),
        "delay": spread(one.seconds for one in arrived if one.pushed.at > world.time.start),
        "after the last fault": _recoveries(world, faults),
        "longest": _longest(arrived, world.time.start),
        "alerts": dict(Counter(alert.key[0] for alert in recorded_alerts)),
        "messages": len(robots.taken),
        "history": await world.sizes(),
        "missing": world.ledger.missing(),
        "defects": faults.defects,
        "differences": differences,
    }


def _recoveries(world: World, faults: Faults) -> dict[str, dict[str, float | int | None]]:
    """By kind: from the end of the last fault that a push had to wait for to its arrival."""
    found = defaultdict[str, list[float]](list)
    for arrival in world.ledger.arrivals:
        places = {
            *_EVERYWHERE,
            *map(_host, (arrival.pushed.source, world.settings.mirror(arrival.mirror).target)),
        }
        met = [
            hit
            for hit in faults.hits
            if hit.where in places and hit.begins <= arrival.at and hit.ends >= arrival.pushed.at
        ]
        last = max(met, key=lambda hit: hit.ends, default=None)
        if last is not None and last.ends <= arrival.at:
            found[last.kind].append((arrival.at - last.ends).total_seconds())
    return {kind: spread(seconds) for kind, seconds in sorted(found.items())}


def _host(repository: str) -> str:
    return Reference.parse(repository).registry


def _longest(arrivals: Sequence[Arrival], since: datetime) -> list[str]:
    late = sorted(arrivals, key=lambda one: one.seconds, reverse=True)
    return [
        f"{one.mirror} {one.tag}: pushed {one.pushed.at:%d %H:%M:%S}, arrived {one.at:%d %H:%M:%S}"
        for one in late
        if one.pushed.at > since
    ][:10]


def _line(alert: Alert) -> str:
    closed = f"{alert.closed_at:%d %H:%M:%S}" if alert.closed_at else "open"
    return f"{' '.join(alert.key)} {alert.opened_at:%d %H:%M:%S}-{closed}"


def _rates(world: World, mirror: str) -> dict[str, int]:
    runs = [run for run in world.notes.runs.values() if run.mirror == mirror]
    runs = [run for run in runs if run.ended_at and run.reason != "lock"]
    status = Counter(run.status for run in runs)
    tags = [(run, tag) for run in runs for tag in run.tags.values()]
    failed = sum(tag.failure is not None for _, tag in tags)
    well = sum(tag.failure is None and tag.at is not None for _, tag in tags)
    return {
        "runs": len(runs),
        "runs_succeeded": status[RunStatus.SUCCEEDED],
        "runs_partial": status[RunStatus.PARTIAL],
        "runs_failed": status[RunStatus.FAILED],
        "runs_abandoned": status[RunStatus.ABANDONED],
        "tags": len(tags),
        "tags_succeeded": well,
        "tags_failed": failed,
        "tags_abandoned": len(tags) - well - failed,
    }


def _delays(world: World, mirror: str) -> list[float]:
    """From the push, as the people noted it, to the tag verified."""
    pushed = {(push.tag, push.digest): push.at for push in world.ledger.pushes}
    first = min(run.started_at for run in world.notes.runs.values())
    return [
        (tag.at - at).total_seconds()
        for run in world.notes.runs.values()
        for tag in run.tags.values()
        if run.mirror == mirror
        and tag.at is not None
        and tag.failure is None
        and tag.change.kind in (ChangeKind.NEW, ChangeKind.MOVED)
        and (at := pushed[tag.change.tag, tag.change.digest]) > world.time.start
        and first <= tag.at
    ]
