"""Faults against the processes of `mirror up`: a new tag has to arrive by itself after each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
import yaml

from faults.figures import Figures
from faults.invariants import Storage
from faults.stage import SOURCE, TARGET, registry_process
from flows.local.sample_registry.images import single
from mirror.history import Cluster
from tests.support.fake_registry.push import push
from tests.support.registry_process import DockerRegistry, docker_registry_process

STARTED_WITHIN = 180.0
ARRIVED_WITHIN = 240.0  # seconds after the fault
FROZEN = (5.0, 40.0)
# What a process's command line holds.
PARTS = {
    "worker": "worker start",
    "server": "server start",
    "watchdog": "mirror watchdog",
    "flow": "flow-run execute",
}


@dataclass
class Machine:
    """A running `mirror up`, and what is around it."""

    folder: Path
    rng: Random
    source: DockerRegistry
    target: DockerRegistry
    figures: Figures
    process: subprocess.Popen[bytes] | None = None
    pushed: dict[str, str] = field(default_factory=dict)

    @property
    def storage(self) -> Storage:
        """The target's files."""
        return Storage(self.target.storage, TARGET)

    async def start(self) -> None:
        """Start `mirror up` and wait until it says that everything runs."""
        log = self.folder / "up.log"
        self.process = self._launch(log)
        deadline = time.monotonic() + STARTED_WITHIN
        while "Ctrl-C" not in log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mirror up did not start:\n{log.read_text(errors='replace')}")
            await asyncio.sleep(0.2)

    def _launch(self, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as output:
            return subprocess.Popen(
                [Path(sys.executable).with_name("mirror"), "up", "--ui-port=0", "--site-port=0"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    "MIRROR_CONFIG": str(self.folder / "mirrors.yaml"),
                    "MIRROR_DATA_DIR": str(self.folder / "data"),
                    "PREFECT_WORKER_QUERY_SECONDS": "1",
                },
            )

    async def push(self) -> str:
        """A new tag at the source."""
        tag = f"1.0.{len(self.pushed)}"
        image = single(f"{self.rng.random()}", sizes=[self.rng.randint(1_000, 300_000)])
        self.pushed[tag] = await push(self.source.url, SOURCE, tag, image)
        return tag

    async def arrived(self, tag: str, seconds: float) -> float | None:
        """Seconds until a tag is at the target; None if it does not come. Looks for torn ones."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            tags = self.storage.tags()
            for name, digest in tags.items():
                if trouble := next(self.storage.trouble(digest), None):
                    self.figures.torn.setdefault(f"{name} at {digest}", trouble)
            if tags.get(tag) == self.pushed[tag]:
                return time.monotonic() - began
            await asyncio.sleep(0.2)
        return None

    def processes(self, part: str) -> list[psutil.Process]:
        """The processes of a part, the first of each before those that it started."""
        if part == "Postgres":
            return _with_children(_pid_in(self.folder / "data" / "postgres" / "postmaster.pid"))
        if part in ("source", "target"):
            return [psutil.Process(registry_process(getattr(self, part)).pid)]
        assert self.process is not None
        if part == "mirror up":
            return [psutil.Process(self.process.pid)]
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if PARTS[part] in " ".join(each.cmdline()):
                        found += _with_children(each.pid)
        return found

    async def hit(self, part: str, what: str) -> bool:
        """Kill or freeze a part, and undo what nobody else would. False if it does not run."""
        targets = self.processes(part)
        if not targets:
            return False
        for each in targets if what == "frozen" else targets[:1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.suspend() if what == "frozen" else each.kill()
        if what == "frozen":
            await asyncio.sleep(self.rng.uniform(*FROZEN))
            for each in targets:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.resume()
        elif part in ("source", "target"):
            registry = getattr(self, part)
            registry_process(registry).wait()
            await asyncio.sleep(self.rng.uniform(0, 30))
            await asyncio.to_thread(registry.start)
        elif part == "mirror up":
            assert self.process is not None
            self.process.wait()
            await self.start()
        return True

    async def stop(self) -> None:
        """SIGTERM, and nothing may be left."""
        assert self.process is not None
        if self.process.poll() is not None:
            return
        left = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        try:
            await asyncio.to_thread(self.process.wait, 60)
        except subprocess.TimeoutExpired:
            self.figures.hung.append("mirror up at SIGTERM")
            self.process.kill()
        self.figures.seconds_to_stop = time.monotonic() - began
        _, alive = psutil.wait_procs(left, timeout=5)
        for each in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.figures.violations.append(f"left after SIGTERM: {' '.join(each.cmdline())}")
                each.kill()


FAULTS: Sequence[tuple[str, str]] = (
    *(
        (part, what)
        for part in ("worker", "server", "watchdog", "flow", "Postgres", "source", "target")
        for what in ("killed", "frozen")
    ),
    ("mirror up", "killed"),
)


async def hit_machine(faults: int, seed: int) -> Figures:
    """So many faults against one `mirror up`."""
    import tempfile

    figures = Figures(seed)
    with tempfile.TemporaryDirectory(prefix="faults-up-") as folder:
        async with _machine(Path(folder), Random(seed), figures) as machine:
            while figures.total < faults:
                await _episode(machine)
            figures.pushes = len(machine.pushed)
    return figures


async def _episode(machine: Machine) -> None:
    part, what = machine.rng.choice(FAULTS)
    figures, before = machine.figures, await machine.push()
    if part == "flow":  # the watch starts one within its interval
        for _ in range(100):
            if machine.processes("flow"):
                break
            await asyncio.sleep(0.2)
    if not await machine.hit(part, what):
        return
    figures.faults[f"{part} {what}"] += 1
    after = await machine.push()
    times = [await machine.arrived(tag, ARRIVED_WITHIN) for tag in (after, before)]
    seconds = sum(each for each in times if each is not None)
    name = f"{part} {what}"
    print(f"{figures.total} {name}: {seconds:.0f} s", file=sys.stderr, flush=True)
    figures.seconds.setdefault(name, []).append(round(seconds, 1))
    if None in times:
        figures.unrecovered += 1
        figures.violations.append(f"{name}: not within {ARRIVED_WITHIN:.0f} s")
    else:
        figures.recovered += 1
    if seconds > figures.longest_recovery:
        figures.longest_recovery, figures.longest_after = seconds, name


@asynccontextmanager
async def _machine(folder: Path, rng: Random, figures: Figures) -> AsyncIterator[Machine]:
    async with AsyncExitStack() as stack:
        source = stack.enter_context(docker_registry_process(folder / "source"))
        target = stack.enter_context(docker_registry_process(folder / "target"))
        settings = {
            "registries": {source.host: {"insecure": True}, target.host: {"insecure": True}},
            "mirrors": {
                "m": {
                    "source": f"{source.host}/{SOURCE}",
                    "target": f"{target.host}/{TARGET}",
                    "every": "2m",
                    "watch_every": "20s",
                }
            },
            "retry": {"wait": "10s"},
        }
        (folder / "mirrors.yaml").write_text(yaml.safe_dump(settings))
        machine = Machine(folder, rng, source, target, figures)
        await machine.push()
        stack.push_async_callback(asyncio.to_thread, Cluster(folder / "data" / "postgres").stop)
        await machine.start()
        stack.push_async_callback(machine.stop)
        await machine.arrived("1.0.0", ARRIVED_WITHIN)
        yield machine


def _pid_in(file: Path) -> int:
    try:
        return int(file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def _with_children(pid: int) -> list[psutil.Process]:
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)] if pid else []
    except psutil.NoSuchProcess:
        return []
