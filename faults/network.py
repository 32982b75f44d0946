"""`python -m faults.network`: the network goes away for an hour, and comes back.

`mirror up` and its two registries run in a network namespace, in which packets to the registries
are dropped: nothing is refused, connections simply say no more, as with a cable that is pulled out.
Exit 1 if a new tag, or one that waited, takes more than a minute after the return.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from faults.invariants import wrong_in_record
from faults.machine import Machine, machine
from mirror.history import Cluster, embedded_url

WITHIN = 60.0  # seconds after the network's return
_INSIDE = "--inside"


def enter_namespace() -> None:
    """Run this program again in a network namespace of its own. Does not return."""
    for name in ("unshare", "ip", "iptables"):
        if shutil.which(name) is None:
            sys.exit(f"{name} is not installed")
    again = [sys.executable, "-m", "faults.network", _INSIDE, *sys.argv[1:]]
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    os.execvp("unshare", ["unshare", "--net", *user, *again])


def _rule(action: str, port: int) -> None:
    subprocess.run(
        ["iptables", action, "OUTPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP"], check=True
    )


async def cut(running: Machine, which: str, seconds: float) -> dict[str, object]:
    """Cut off the registries for so long, then measure how soon tags arrive."""
    ports = {"source": running.source.port, "target": running.target.port}
    gone = [port for name, port in ports.items() if which in (name, "both")]
    before = [await running.push(size=3_000_000)]
    await asyncio.sleep(running.rng.uniform(0, 20))  # a look may be under way, or a copy
    for port in gone:
        _rule("-A", port)
    began = time.monotonic()
    if which == "target":  # the source goes on
        for _ in range(3):
            await asyncio.sleep(seconds / 4)
            before.append(await running.push())
    await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))
    wrong = await running.health()
    for port in gone:
        _rule("-D", port)
    back = time.monotonic()
    after = await running.push()
    arrived = {}
    for tag in (after, *before):
        if await running.arrived(tag, 10 * WITHIN) is not None:
            arrived[tag] = round(time.monotonic() - back, 1)
    url = embedded_url("mirror", Cluster(running.data / "postgres"))
    found = {
        "away": which,
        "away_seconds": round(back - began),
        "healthz_while_away": wrong,
        "seconds_until_a_new_tag": arrived.get(after),
        "seconds_until_what_waited": [arrived.get(tag) for tag in before],
        "torn_tags": running.torn,
        "violations": await wrong_in_record(url, open_seconds=120),
        "said": running.said.partition("Ctrl-C")[2].strip().splitlines(),
    }
    late = [each for each in (arrived.get(tag, 1e9) for tag in (after, *before)) if each > WITHIN]
    return found | {"well": not (late or running.torn or found["violations"])}


async def _main(which: str, seconds: float, seed: int) -> bool:
    with tempfile.TemporaryDirectory(prefix="faults-network-") as folder:
        async with machine(Path(folder), Random(seed), mirror={"every": "1h"}) as running:
            found = await cut(running, which, seconds)
            stopped = await running.stop()
    found["seconds_to_stop"] = stopped and round(stopped.seconds, 1)
    found["left"] = stopped and stopped.left
    print(json.dumps(found, indent=2))
    return bool(found["well"])


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m faults.network", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--cut", choices=("both", "source", "target"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if not chosen.inside:
        enter_namespace()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return 0 if asyncio.run(_main(chosen.cut, 60 * chosen.minutes, chosen.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())
