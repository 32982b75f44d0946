"""A month of pushes at random times, at the shipped settings: how long each took to arrive."""

from __future__ import annotations

import asyncio
import math
import time as real_time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from simulation.clock import Time, simulate
from simulation.ledger import spread
from simulation.machine import Machine
from simulation.people import People
from simulation.world import open_world, shipped

_LAST = timedelta(minutes=40)  # without pushes, so that the last ones can arrive
_RECORDED = """
    SELECT mirror, delay_seconds FROM report_tag_history WHERE delay_from = 'pushed'
"""


def month(
    days: float, seed: int, pushes_a_day: float, patience: float = math.inf
) -> dict[str, Any]:
    """So many simulated days, fewer after `patience` real seconds.

    `well` says whether everything arrived and the history agrees.
    """
    length = timedelta(days=days)
    rng = Random(seed)
    began = real_time.monotonic()

    async def work(time: Time) -> dict[str, Any]:
        async with open_world(time, rng, shipped()) as world:
            people = People(world, pushes_a_day)
            people.begin()
            background = [
                asyncio.create_task(world.renew_quota()),
                asyncio.create_task(world.forget_requests()),
                asyncio.create_task(Machine(world, alerting=False).run()),
            ]
            end = time.start + length
            try:
                await asyncio.sleep(600)  # the first copies
                await people.run(end - _LAST, patience)
                await asyncio.sleep(_LAST.total_seconds())
            finally:
                for task in background:
                    task.cancel()
                ended = await asyncio.gather(*background, return_exceptions=True)
            defects = [repr(one) for one in ended if not isinstance(one, asyncio.CancelledError)]
            ledger = world.ledger
            since = time.start + timedelta(seconds=600)
            arrived = [arrival for arrival in ledger.arrivals if arrival.pushed.at > since]
            recorded = await world.ask(f"{_RECORDED} AND pushed_at > %s", since)
            of_mirror = {
                name: (
                    spread(one.seconds for one in arrived if one.mirror == name),
                    spread(seconds for mirror, seconds in recorded if mirror == name),
                )
                for name in world.settings.mirrors
            }
            return {
                "days": round(time.monotonic() / 86400, 2),
                "seed": seed,
                "pushes": len({push.digest for push in ledger.pushes if push.at > since}),
                "arrived": spread(arrival.seconds for arrival in arrived),
                "recorded": spread(seconds for _, seconds in recorded),
                "by_mirror": {name: seen for name, (seen, _) in of_mirror.items()},
                "runs": len(ledger.runs),
                "history": await world.sizes(),
                "missing": ledger.missing(),
                "defects": defects,
                "differences": [
                    f"{name}: arrived {seen}, recorded {said}"
                    for name, (seen, said) in of_mirror.items()
                    if not _agree(seen, said)
                ],
            }

    figures = simulate(work, datetime.now(UTC) - length, rng)
    figures["seconds"] = round(real_time.monotonic() - began, 1)
    figures["well"] = not (figures["missing"] or figures["defects"] or figures["differences"])
    return figures


def _agree(seen: dict[str, Any], said: dict[str, Any]) -> bool:
    """A tag is recorded once it is verified: later than it is there, by a few requests."""
    if seen["tags"] != said["tags"]:
        return False
    return all(
        seen[name] is None or 0 <= said[name] - seen[name] < 2 for name in ("p50", "p99", "max")
    )
