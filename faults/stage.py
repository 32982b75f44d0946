"""Real registries, a real database and a runner of syncs, each of which may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil

from faults.front import Front, front_of
from faults.runner import LOGIN
from flows.local.sample_registry.images import single
from mirror.history import Cluster, embedded_url, prepare
from mirror.history.database.errors import EmbeddedFailed
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.registry_process import DockerRegistry, docker_registry_process

SOURCE, TARGET = "team/app", "copy/app"
TAGS = 12
DISK = 3 << 30  # bytes of a small disk that can be filled


@dataclass
class Run:
    """A sync in a separate process; `ended` is what it said."""

    pid: int
    started: float
    ended: asyncio.Task[dict[str, Any]]

    def signal(self, number: signal.Signals) -> bool:
        """False if it has ended already."""
        if self.ended.done():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


@dataclass
class Stage:
    """Everything that a fault may hit."""

    folder: Path
    rng: Random
    source: DockerRegistry
    target: DockerRegistry
    at_source: Front
    at_target: Front
    cluster: Cluster
    runner: asyncio.subprocess.Process
    url: str
    small_disks: bool
    pushed: dict[str, str] = field(default_factory=dict)  # digest by tag, as the source has it
    pushes: int = 0
    runs: int = 0

    async def push_some(self) -> None:
        """New tags, or new content for old ones, straight to the source."""
        for _ in range(self.rng.randint(1, 3)):
            self.pushes += 1
            tag = f"1.0.{self.rng.randrange(TAGS)}"
            sizes = [self.rng.randint(1_000, 120_000) for _ in range(self.rng.randint(1, 3))]
            seed = f"{self.rng.random()}"
            several = self.rng.random() < 0.5
            image = multi_platform(seed, sizes=sizes) if several else single(seed, sizes=sizes)
            self.pushed[tag] = await push(self.source.url, SOURCE, tag, image)

    async def begin_run(self, *, full: bool) -> Run:
        """Start a sync."""
        order = {
            "source": f"{self.at_source.host}/{SOURCE}",
            "target": f"{self.at_target.host}/{TARGET}",
            "url": self.url,
            "full": full,
        }
        assert self.runner.stdin is not None
        assert self.runner.stdout is not None
        self.runner.stdin.write(json.dumps(order).encode() + b"\n")
        pid = int(await self.runner.stdout.readline())
        self.runs += 1

        async def result() -> dict[str, Any]:
            assert self.runner.stdout is not None
            said: dict[str, Any] = json.loads(await self.runner.stdout.readline())
            return said

        return Run(pid, time.monotonic(), asyncio.create_task(result()))

    def postmaster(self) -> psutil.Process | None:
        """PostgreSQL's first process, if it runs."""
        file = self.cluster.folder / "postmaster.pid"
        try:
            return psutil.Process(int(file.read_text().split()[0]))
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return None

    async def start_postgres(self) -> None:
        """Start it again, once what was left of the killed one is gone."""
        for _ in range(100):
            try:
                await asyncio.to_thread(self.cluster.start)
            except EmbeddedFailed:
                await asyncio.sleep(0.2)
            else:
                break
        self.url = embedded_url("mirror", self.cluster)


def registry_process(registry: DockerRegistry) -> subprocess.Popen[bytes]:
    """The registry's process; it may have been killed."""
    assert registry._process is not None
    return registry._process


@contextmanager
def small_disk(folder: Path, size: int = DISK) -> Iterator[bool]:
    """A folder on a disk of its own that can be filled; False where none can be mounted."""
    folder.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    mount = shutil.which("mount")
    mounted = (
        mount is not None
        and subprocess.run([mount, *options], capture_output=True, check=False).returncode == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@asynccontextmanager
async def staged(folder: Path, rng: Random) -> AsyncIterator[Stage]:
    """Start everything; stop everything, however it was left."""
    async with AsyncExitStack() as stack:
        small = stack.enter_context(small_disk(folder / "small"))
        source = stack.enter_context(docker_registry_process(folder / "source"))
        target = stack.enter_context(docker_registry_process(folder / "small" / "target"))
        cluster = Cluster(folder / "small" / "postgres")
        os.environ["MIRROR_DATA_DIR"] = str(folder / "small")
        await asyncio.to_thread(cluster.ensure_database, "mirror")
        stack.push_async_callback(asyncio.to_thread, cluster.stop)
        url = embedded_url("mirror", cluster)
        await asyncio.to_thread(prepare, url)
        at_source = await stack.enter_async_context(front_of(source.host, LOGIN))
        at_target = await stack.enter_async_context(front_of(target.host, LOGIN))
        runner = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "faults.runner"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=1 << 20,
        )
        try:
            yield Stage(
                folder, rng, source, target, at_source, at_target, cluster, runner, url, small
            )
        finally:
            for registry in (source, target):
                with contextlib.suppress(ProcessLookupError):
                    registry_process(registry).send_signal(signal.SIGCONT)
            if (postmaster := _postmaster_of(cluster)) is not None:
                postmaster.resume()
            runner.kill()
            await runner.wait()


def _postmaster_of(cluster: Cluster) -> psutil.Process | None:
    try:
        return psutil.Process(int((cluster.folder / "postmaster.pid").read_text().split()[0]))
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return None
