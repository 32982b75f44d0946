"""`python -m faults.orders`: the services of docker-compose.yml restarted in random orders.

All of them are stopped, a tag is pushed, and they are started one after the other with gaps, in an
order drawn from the seed: PostgreSQL last, the schema's step in the middle, whatever comes. Then a
new tag has to be at the target within a minute. Exit 1 if it is not, or if the history is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faults.invariants import wrong_in_record
from faults.parts import PARTS, RUNNING, Parts, parts

WITHIN = 60.0  # seconds
GAPS = (0.0, 12.0)


async def restart(on: Parts, order: Sequence[str]) -> dict[str, Any]:
    """Stop everything, start it in that order; what became of it."""
    stopped = {part: round(await on.stop(part), 1) for part in (*reversed(RUNNING), "postgres")}
    while_off, steps = await on.push(), []
    for part in order:
        await asyncio.sleep(on.rng.uniform(*GAPS))
        if part == "migrate":  # it waits for PostgreSQL as a container does, by being restarted
            steps.append(asyncio.create_task(on.once("migrate")))
        else:
            await on.start(part)
    started = time.monotonic()
    await on.up()
    up = time.monotonic()
    tag = await on.push()
    seconds = await on.arrived(tag, 4 * WITHIN)
    before = await on.arrived(while_off, 4 * WITHIN)
    await asyncio.gather(*steps)
    return {
        "order": " ".join(order),
        "load": round(os.getloadavg()[0], 1),
        "slowest_stop": max(stopped.items(), key=lambda one: one[1]),
        "up": round(up - started, 1),
        "new_tag": seconds,
        "pushed_while_off": before,
        "well": seconds is not None and seconds <= WITHIN and before is not None,
    }


async def run(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """So many orders."""
    rng = random.Random(seed)
    found = []
    async with parts(folder, rng) as on:
        for part in RUNNING:
            if part != "server":
                await on.start(part)
        await on.arrived(await on.push(), 240)
        for _ in range(count):
            order = rng.sample(PARTS, len(PARTS))
            found.append(await restart(on, order))
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
            if not found[-1]["well"]:
                for part in RUNNING:
                    print(part, on.log(part)[-1500:], file=sys.stderr, flush=True)
        url = on.environment["MIRROR_DATABASE_URL"]
        wrong = await wrong_in_record(url, open_seconds=120)
        alerts = on.rows("SELECT rule, subject, opened_at, closed_at FROM alert ORDER BY id")
    return {"seed": seed, "orders": found, "wrong": wrong, "alerts": alerts}


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m faults.orders", description=__doc__)
    parser.add_argument("--orders", type=int, default=12)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-orders-") as folder:
        found = asyncio.run(run(chosen.orders, chosen.seed, Path(folder)))
    print(json.dumps(found, indent=2, default=str))
    return 0 if all(one["well"] for one in found["orders"]) and not found["wrong"] else 1


if __name__ == "__main__":
    sys.exit(main())
