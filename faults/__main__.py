"""`python -m faults`: random faults, and figures of what came of them; exit 1 if anything broke."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from pathlib import Path

from faults.episodes import Episodes
from faults.figures import Figures
from faults.invariants import Inspector
from faults.kinds import KINDS
from faults.stage import staged
from faults.up import hit_machine


async def hit(faults: int, seconds: float, seed: int, only: tuple[str, ...] = ()) -> Figures:
    """So many faults, drawn from a seed, or as many as fit into that time."""
    figures = Figures(seed)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        async with staged(Path(folder), random.Random(seed)) as stage:
            await Episodes(stage, figures, Inspector(stage), only).run(faults, seconds)
    return figures


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    parser.add_argument("--only", action="append", choices=list(KINDS), default=[])
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after that long")
    parser.add_argument("--up", action="store_true", help="against the processes of mirror up")
    chosen = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # lines that break are meant
    faults, seconds, seed = chosen.faults, 60 * chosen.minutes, chosen.seed
    if chosen.up:
        figures = asyncio.run(hit_machine(faults, seconds, seed))
    else:
        figures = asyncio.run(hit(faults, seconds, seed, tuple(chosen.only)))
    print(figures.text())
    return 0 if figures.well else 1


if __name__ == "__main__":
    sys.exit(main())
