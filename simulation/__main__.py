"""`python -m simulation week|month|year`: figures as JSON; exit 1 if anything differs."""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import sys

from simulation.month import month
from simulation.week import week
from simulation.year import year


def main() -> int:
    """Parse the arguments, simulate, print."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("what", choices=["week", "month", "year"])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 16))
    parser.add_argument("--days", type=float, help="fewer or more than its name says")
    parser.add_argument(
        "--watchdog", type=float, default=300, help="seconds between its rounds (60 as shipped)"
    )
    parser.add_argument("--pushes", type=float, default=12, help="a day")
    parser.add_argument("--share", type=float, default=0.02, help="of a day's runs (year)")
    parser.add_argument("--patience", type=float, default=math.inf, help="real seconds")
    chosen = parser.parse_args()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # lines that break are meant
    if chosen.what == "week":
        figures = week(
            chosen.days or 7, chosen.seed, chosen.pushes, chosen.watchdog, chosen.patience
        )
    elif chosen.what == "year":
        figures = year(round(chosen.days or 365), chosen.share)
    else:
        figures = month(chosen.days or 30, chosen.seed, chosen.pushes, chosen.patience)
    print(json.dumps(figures, indent=2, default=str))
    return 0 if figures["well"] else 1


if __name__ == "__main__":
    sys.exit(main())
