"""`python -m faults.disk`: the disk of the data folder fills up under a running `mirror up`.

The data folder lies on a small tmpfs (needs the right to mount one). It is filled to the last page,
stays so for a while, and is freed. Exit 1 if /healthz does not name the disk, or if it is not well
again, or a new tag has not arrived, within a minute of the space.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from faults.invariants import wrong_in_record
from faults.machine import PARTS, Machine, machine
from faults.stage import small_disk
from mirror.history import Cluster, embedded_url

SIZE = 700 << 20  # bytes of the disk
WITHIN = 60.0  # seconds after there is space again


def _fill(filler: Path) -> None:
    """Take every page; a run of the function takes what was freed since."""
    with filler.open("ab", buffering=0) as out:
        for piece in (1 << 20, 4096):
            with suppress(OSError):
                while True:
                    out.write(b"\0" * piece)


async def fill(
    running: Machine, disk: Path, seconds: float, killed: Sequence[str]
) -> dict[str, Any]:
    """Fill the disk for so long, then measure how soon everything works again.

    `killed`: parts that are killed while it is full.
    """
    filler, lines = disk / "filler", len(running.said.splitlines())
    wrong: dict[str, str] = {}
    began = time.monotonic()
    await asyncio.to_thread(_fill, filler)
    before = await running.push()
    for part in killed:
        running.processes(part)[0].kill()
    while time.monotonic() < began + seconds:
        await asyncio.to_thread(_fill, filler)
        wrong.update(await running.health())
        await asyncio.sleep(1)
    filler.unlink()
    back = time.monotonic()
    after = await running.push()
    arrived = {}
    for tag in (after, before):
        if await running.arrived(tag, 4 * WITHIN) is not None:
            arrived[tag] = round(time.monotonic() - back, 1)
    still = await running.health()
    while still and time.monotonic() - back < 4 * WITHIN:
        await asyncio.sleep(1)
        still = await running.health()
    well_after = round(time.monotonic() - back, 1)
    found: dict[str, Any] = {
        "full_seconds": round(back - began),
        "killed": list(killed),
        "healthz_while_full": wrong,
        "seconds_until_a_new_tag": arrived.get(after),
        "seconds_until_what_waited": arrived.get(before),
        "seconds_until_well": None if still else well_after,
        "still_wrong": still,
        "torn_tags": running.torn,
        "said": running.said.splitlines()[lines:],
        "logs": _last_lines(running.data / "logs"),
    }
    with suppress(Exception):
        url = embedded_url("mirror", Cluster(running.data / "postgres"))
        found["violations"] = await wrong_in_record(url, open_seconds=180)
    late = [tag for tag in (after, before) if arrived.get(tag, 1e9) > WITHIN]
    slow = still or well_after > WITHIN
    named = "disk" in wrong
    return found | {"well": named and not (late or slow or running.torn or found["violations"])}


def _last_lines(logs: Path) -> dict[str, str]:
    """The last line of each log that is no frame of a traceback."""
    found = {}
    for log in sorted(logs.glob("*.log")):
        lines = log.read_text(errors="replace").strip().splitlines()
        found[log.name] = lines[-1] if lines else ""
    return found


async def _main(seconds: float, seed: int, killed: Sequence[str], keep: Path | None) -> bool:
    with tempfile.TemporaryDirectory(prefix="faults-disk-") as name:
        disk = Path(name) / "disk"
        with small_disk(disk, SIZE) as mounted:
            if not mounted:
                sys.exit("no tmpfs can be mounted here: run as root")
            async with machine(Path(name), Random(seed), data=disk / "data") as running:
                found = await fill(running, disk, seconds, killed)
                stopped = await running.stop()
                if keep is not None:
                    for log in (running.data / "logs").iterdir():
                        (keep / log.name).write_bytes(log.read_bytes())
    found["seconds_to_stop"] = stopped and round(stopped.seconds, 1)
    found["left"] = stopped and stopped.left
    print(json.dumps(found, indent=2))
    return bool(found["well"]) and stopped is not None and not stopped.left


def main() -> int:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m faults.disk", description=__doc__)
    parser.add_argument("--seconds", type=float, default=90.0, help="how long it stays full")
    parser.add_argument("--kill", action="append", choices=[*PARTS, "Postgres"], default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs", type=Path, help="an existing folder for the logs")
    chosen = parser.parse_args()
    return 0 if asyncio.run(_main(chosen.seconds, chosen.seed, chosen.kill, chosen.logs)) else 1


if __name__ == "__main__":
    sys.exit(main())
