"""Faults against the processes of `mirror up`: a new tag has to arrive by itself after each."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import psutil

from faults.figures import Figures
from faults.invariants import wrong_in_record
from faults.machine import Machine, machine
from faults.stage import registry_process
from mirror.history import Cluster, embedded_url

ARRIVED_WITHIN = 240.0  # seconds after the fault
FROZEN = (5.0, 40.0)
FAULTS: Sequence[tuple[str, str]] = (
    *(
        (part, what)
        for part in (
            *("worker", "flow", "server", "watch", "watchdog", "site"),
            *("Postgres", "source", "target"),
        )
        for what in ("killed", "frozen")
    ),
    ("mirror up", "killed"),
)


async def hit_machine(faults: int, seconds: float, seed: int) -> Figures:
    """So many faults against one `mirror up`, or as many as fit into that time."""
    figures, end = Figures(seed), time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="faults-up-") as folder:
        async with machine(
            Path(folder), Random(seed), settings={"retry": {"wait": "10s"}}
        ) as running:
            while figures.total < faults and time.monotonic() < end:
                await _episode(running, figures)
            url = embedded_url("mirror", Cluster(running.data / "postgres"))
            figures.violations += await wrong_in_record(url, open_seconds=120)
            figures.pushes, figures.torn = len(running.pushed), running.torn
            if (stopped := await running.stop()) is not None:
                figures.seconds_to_stop = stopped.seconds
                figures.hung += ["mirror up at SIGTERM"] * stopped.hung
                figures.violations += [f"left after SIGTERM: {each}" for each in stopped.left]
    return figures


async def _hit(running: Machine, part: str, what: str) -> bool:
    """Kill or freeze a part, and undo what nobody else would. False if it does not run."""
    targets = running.processes(part)
    if not targets:
        return False
    for each in targets if what == "frozen" else targets[:1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.suspend() if what == "frozen" else each.kill()
    if what == "frozen":
        await asyncio.sleep(running.rng.uniform(*FROZEN))
        for each in targets:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()
    elif part in ("source", "target"):
        registry = getattr(running, part)
        registry_process(registry).wait()
        await asyncio.sleep(running.rng.uniform(0, 30))
        await asyncio.to_thread(registry.start)
    elif part == "mirror up":
        assert running.process is not None
        running.process.wait()
        await running.start()
    return True


async def _episode(running: Machine, figures: Figures) -> None:
    part, what = running.rng.choice(FAULTS)
    before = await running.push()
    if part == "flow":  # a schedule of two minutes and others start them
        for _ in range(300):
            if running.processes("flow"):
                break
            await asyncio.sleep(0.2)
    if not await _hit(running, part, what):
        return
    name = f"{part} {what}"
    figures.faults[name] += 1
    after = await running.push()
    times = [await running.arrived(tag, ARRIVED_WITHIN) for tag in (after, before)]
    seconds = sum(each for each in times if each is not None)
    print(f"{figures.total} {name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    figures.seconds.setdefault(name, []).append(round(seconds, 1))
    if None in times:
        figures.unrecovered += 1
        figures.violations.append(f"{name}: not within {ARRIVED_WITHIN:.0f} s")
        print(running.said, file=sys.stderr, flush=True)
    else:
        figures.recovered += 1
    if seconds > figures.longest_recovery:
        figures.longest_recovery, figures.longest_after = seconds, name
