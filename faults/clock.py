"""`python -m faults.clock`: the machine's clock jumps an hour ahead, and back again.

The services of docker-compose.yml and their PostgreSQL get their time through libfaketime (Debian's
package of that name; `--library`), which shifts the wall clock and leaves the monotonic one alone,
as setting a clock does. A tag that is pushed after each jump has to arrive within a minute; nothing
may be deleted, and no alert opened. Exit 1 if not.
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
from pathlib import Path
from typing import Any

from faults.invariants import wrong_in_record
from faults.parts import RUNNING, Parts, parts

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
WITHIN = 60.0  # seconds until a new tag has to be there
BEFORE, AFTER = 180.0, 180.0  # seconds: rounds of the watchdog, and schedules of two minutes
# A jump ahead is noted as a time in which nothing could be recorded, without a message.
_ALERTS = "SELECT rule, subject, opened_at FROM alert WHERE rule <> 'database_away' ORDER BY id"
_NOTED = "SELECT details ->> 'error' AS why FROM alert WHERE rule = 'database_away'"
_RUNS = "SELECT count(*) AS runs FROM sync_run WHERE trigger = 'schedule'"


async def jump(folder: Path, library: str, jumps: list[str], seed: int) -> dict[str, Any]:
    """What became of each jump, in libfaketime's notation: +3600."""
    shift = folder / "shift"
    shift.write_text("+0")
    fake = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(shift),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    found: dict[str, Any] = {}
    async with parts(folder, random.Random(seed), environment=fake) as on:
        for part in RUNNING:
            if part != "server":
                await on.start(part)
        if await on.arrived(await on.push(), 4 * WITHIN) is None:
            raise RuntimeError(on.log("watch"))
        await asyncio.sleep(BEFORE)
        for to in jumps:
            shift.write_text(to)
            found[to] = await _watched(on)
            print(to, json.dumps(found[to], default=str), file=sys.stderr, flush=True)
        found["wrong"] = await wrong_in_record(on.environment["MIRROR_DATABASE_URL"], 120)
    return found


async def _watched(on: Parts) -> dict[str, Any]:
    """A push just after the jump, and what has happened some minutes later."""
    began, tag, known = time.monotonic(), await on.push(), set(on.storage.tags())
    scheduled = on.rows(_RUNS)[0]["runs"]
    seconds = await on.arrived(tag, 4 * WITHIN)
    await asyncio.sleep(max(0.0, began + AFTER - time.monotonic()))
    later = await on.arrived(await on.push(), 4 * WITHIN)
    found = {
        "load": round(os.getloadavg()[0], 1),
        "new_tag": seconds,
        "tag_some_minutes_later": later,
        "scheduled_runs": on.rows(_RUNS)[0]["runs"] - scheduled,
        "deleted": sorted(known - set(on.storage.tags())),
        "alerts": on.rows(_ALERTS),
        "noted": [row["why"] for row in on.rows(_NOTED)],
    }
    fast = None not in (seconds, later) and max(seconds or 0, later or 0) <= WITHIN
    return {**found, "well": fast and not found["deleted"] and not found["alerts"]}


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m faults.clock", description=__doc__)
    parser.add_argument("--library", default=LIBRARY)
    parser.add_argument("--jump", action="append", default=[], help="from the true time: +3600")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    if not Path(chosen.library).exists():
        parser.error(f"{chosen.library} does not exist: install libfaketime")
    jumps = chosen.jump or ["+3600", "+0", "-3600"]
    with tempfile.TemporaryDirectory(prefix="faults-clock-") as folder:
        found = asyncio.run(jump(Path(folder), chosen.library, jumps, chosen.seed))
    print(json.dumps(found, indent=2, default=str))
    return 0 if all(found[to]["well"] for to in jumps) and not found["wrong"] else 1


if __name__ == "__main__":
    sys.exit(main())
