"""`python -m hostile`: trials or variations; exit 1 if anything held less than it should."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import re
import sys
import tempfile
from pathlib import Path

from hostile.figures import Row, table
from hostile.record import wrongs
from hostile.stage import Stage, scene_of, staged
from hostile.trials import TRIALS, Trial
from hostile.variations import vary

_DEADLINE = 900  # seconds after which a sync counts as without end


async def _tried(stage: Stage, number: int, trial: Trial) -> Row:
    async with scene_of(f"t{number}", trial.name) as scene:
        trial.prepare(scene)
        try:
            async with asyncio.timeout(_DEADLINE):
                said = await stage.sync(scene)
        except TimeoutError:
            return Row(trial.name, trial.bound, {"status": "no end"}, ["it did not end"])
        wrong = await wrongs(stage.url, scene, said, good=trial.good)
    print(f"{trial.name}: {said['status']}, {said['seconds']} s, {said['peak_mb']} MB", flush=True)
    return Row(trial.name, trial.bound, said, wrong)


async def _trials(only: str, at_once: int) -> list[Row]:
    chosen = [trial for trial in TRIALS if re.search(only, trial.name)]
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        async with staged(Path(folder), at_once) as stage:
            slots = asyncio.Semaphore(at_once)

            async def one(number: int, trial: Trial) -> Row:
                async with slots:
                    return await _tried(stage, number, trial)

            return await asyncio.gather(*(one(*each) for each in enumerate(chosen)))


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m hostile", description=__doc__)
    parser.add_argument("--only", default="", help="trials whose name this pattern is found in")
    parser.add_argument("--variations", type=int, default=0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    parser.add_argument("--at-once", type=int, default=2)
    chosen = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # lines that break are meant
    if chosen.variations:
        rows = asyncio.run(vary(chosen.variations, chosen.seed, chosen.at_once))
    else:
        rows = asyncio.run(_trials(chosen.only, chosen.at_once))
        print(table(rows))
    broken = [row for row in rows if row.wrong]
    for row in broken:
        print(f"{row.name}: {'; '.join(row.wrong)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
