"""A whole `mirror up` between two real registries, for faults to hit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil
import yaml

from faults.invariants import Storage
from faults.stage import SOURCE, TARGET, registry_process
from flows.local.sample_registry.images import single
from mirror.history import Cluster
from tests.support.fake_registry.push import push
from tests.support.registry_process import DockerRegistry, docker_registry_process

STARTED_WITHIN = 180.0
MIRROR = "m"
# What a process's command line holds.
PARTS = {
    "worker": r" worker start ",
    "server": r" flows\.local\.prefect_server ",
    "watch": r"/mirror watch ",
    "watchdog": r"/mirror watchdog ",
    "site": r"/mirror serve ",
    "flow": r" prefect\.engine ",
}


@dataclass(frozen=True)
class Stopped:
    """How `mirror up` ended at SIGTERM."""

    seconds: float
    hung: bool = False
    left: tuple[str, ...] = ()  # command lines of processes that outlived it


@dataclass
class Machine:
    """A running `mirror up`, and what is around it."""

    folder: Path
    data: Path
    rng: Random
    source: DockerRegistry
    target: DockerRegistry
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    pushed: dict[str, str] = field(default_factory=dict)
    torn: dict[str, str] = field(default_factory=dict)

    @property
    def storage(self) -> Storage:
        """The target's files."""
        return Storage(self.target.storage, TARGET)

    @property
    def said(self) -> str:
        """What `mirror up` has printed."""
        return (self.folder / "up.log").read_text(errors="replace")

    def address(self, name: str) -> str:
        """What it printed as the address of Prefect, Site or Metrics."""
        found = re.search(rf"^{name} +(http://\S+)", self.said, re.MULTILINE)
        if found is None:
            raise LookupError(f"{name}: not in:\n{self.said}")
        return found[1]

    async def start(self) -> None:
        """Start `mirror up` and wait until it says that everything runs."""
        self.process = self._launch()
        deadline = time.monotonic() + STARTED_WITHIN
        while "Ctrl-C" not in self.said:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mirror up did not start:\n{self.said}")
            await asyncio.sleep(0.2)

    def _launch(self) -> subprocess.Popen[bytes]:
        with (self.folder / "up.log").open("wb") as output:
            return subprocess.Popen(
                [Path(sys.executable).with_name("mirror"), "up", "--ui-port=0", "--site-port=0"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    **os.environ,
                    "MIRROR_CONFIG": str(self.folder / "mirrors.yaml"),
                    "MIRROR_DATA_DIR": str(self.data),
                    "PREFECT_WORKER_QUERY_SECONDS": "1",
                    **self.environment,
                },
            )

    async def push(self, size: int | None = None) -> str:
        """A new tag at the source, its layer of `size` bytes."""
        tag = f"1.0.{len(self.pushed)}"
        size = size or self.rng.randint(1_000, 300_000)
        image = single(f"{self.rng.random()}", sizes=[size])
        self.pushed[tag] = await push(self.source.url, SOURCE, tag, image)
        return tag

    async def arrived(self, tag: str, seconds: float) -> float | None:
        """Seconds until a tag is at the target; None if it does not come. Looks for torn ones."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            tags = self.storage.tags()
            for name, digest in tags.items():
                if trouble := next(self.storage.trouble(digest), None):
                    self.torn.setdefault(f"{name} at {digest}", trouble)
            if tags.get(tag) == self.pushed[tag]:
                return time.monotonic() - began
            await asyncio.sleep(0.2)
        return None

    async def health(self) -> dict[str, str]:
        """What /healthz says is wrong, by part; empty where all is well."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            try:
                answer = await client.get(f"{self.address('Site')}/healthz")
                checks: dict[str, Any] = answer.json()
            except (httpx.HTTPError, ValueError) as error:
                return {"site": f"{type(error).__name__}: {error}"}
        return {name: one["message"] for name, one in checks["checks"].items() if not one["ok"]}

    def processes(self, part: str) -> list[psutil.Process]:
        """The processes of a part, the first of each before those that it started."""
        if part == "Postgres":
            return _with_children(_pid_in(self.data / "postgres" / "postmaster.pid"))
        if part in ("source", "target"):
            return [psutil.Process(registry_process(getattr(self, part)).pid)]
        assert self.process is not None
        if part == "mirror up":
            return [psutil.Process(self.process.pid)]
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if re.search(PARTS[part], " ".join([*each.cmdline(), ""])):
                        found += _with_children(each.pid)
        return found

    async def stop(self) -> Stopped | None:
        """SIGTERM; None where it had ended already. What is left then is killed."""
        assert self.process is not None
        if self.process.poll() is not None:
            return None
        everything = psutil.Process(self.process.pid).children(recursive=True)
        everything += self.processes("Postgres")
        self.process.send_signal(signal.SIGTERM)
        began, hung = time.monotonic(), False
        try:
            await asyncio.to_thread(self.process.wait, 60)
        except subprocess.TimeoutExpired:
            hung = True
            self.process.kill()
        seconds, left = time.monotonic() - began, []
        for _ in range(50):
            if not any(lives(each) for each in everything):
                break
            await asyncio.sleep(0.1)
        for each in filter(lives, everything):
            with contextlib.suppress(psutil.NoSuchProcess):
                left.append(" ".join(each.cmdline()))
                each.kill()
        return Stopped(seconds, hung, tuple(left))


@asynccontextmanager
async def machine(
    folder: Path,
    rng: Random,
    *,
    data: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    mirror: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Machine]:
    """`mirror up` that has copied a first tag. `settings` and `mirror` add keys."""
    async with AsyncExitStack() as stack:
        source = stack.enter_context(docker_registry_process(folder / "source"))
        target = stack.enter_context(docker_registry_process(folder / "target"))
        mirrors = {
            "registries": {source.host: {"insecure": True}, target.host: {"insecure": True}},
            "mirrors": {
                MIRROR: {
                    "source": f"{source.host}/{SOURCE}",
                    "target": f"{target.host}/{TARGET}",
                    "every": "2m",
                    "watch_every": "20s",
                    **(mirror or {}),
                }
            },
            **(settings or {}),
        }
        (folder / "mirrors.yaml").write_text(yaml.safe_dump(mirrors))
        data = data or folder / "data"
        running = Machine(folder, data, rng, source, target, environment or {})
        first = await running.push()
        stack.push_async_callback(asyncio.to_thread, Cluster(data / "postgres").stop)
        await running.start()
        stack.push_async_callback(running.stop)
        if await running.arrived(first, STARTED_WITHIN) is None:
            raise RuntimeError(f"the first tag did not arrive:\n{running.said}")
        yield running


def lives(process: psutil.Process) -> bool:
    """Whether a process has not ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


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
