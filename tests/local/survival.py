"""How soon a new tag arrives after a fault of each part of `mirror up`, on two real registries.

python -m tests.local.survival            every fault, once
python -m tests.local.survival worker-killed postgres-frozen
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import httpx
import psutil
import yaml

from flows.local.sample_registry.releases import release
from flows.orchestration import LOGIN_ENV, login_file, run_now
from mirror.history import Cluster
from tests.support.fake_registry.push import push
from tests.support.registry_process import DockerRegistry, docker_registry_process

MIRROR = Path(sys.executable).with_name("mirror")
WATCH_EVERY = "20s"
FROZEN_SECONDS = 60.0


@dataclass
class Machine:
    """A running `mirror up` between two registries."""

    folder: Path
    source: DockerRegistry
    target: DockerRegistry
    process: psutil.Process | None = None
    releases: int = 0

    @property
    def said(self) -> str:
        """What it printed."""
        return (self.folder / "out").read_text()

    async def start(self) -> None:
        """Start `mirror up` and wait until everything runs."""
        with (self.folder / "out").open("wb") as output:
            started = await asyncio.create_subprocess_exec(
                *(MIRROR, "up", "--config", self.folder / "mirrors.yaml"),
                *("--ui-port", "0", "--site-port", "0"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "MIRROR_DATA_DIR": str(self.folder / "data")},
            )
        self.process = psutil.Process(started.pid)
        for _ in range(900):
            if "Ctrl-C" in self.said:
                return
            if started.returncode is not None:
                raise RuntimeError(self.said)
            await asyncio.sleep(0.2)
        raise TimeoutError(self.said)

    async def stop(self) -> float:
        """SIGTERM; the seconds until it has ended."""
        began = time.monotonic()
        if self.process is not None and self.process.is_running():
            self.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self.process.wait, 120)
        return time.monotonic() - began

    def part(self, name: str) -> psutil.Process:
        """The process of a part: worker, server, watch, watchdog or postgres."""
        if name == "postgres":
            pid = (self.folder / "data" / "postgres" / "postmaster.pid").read_text().split()[0]
            return psutil.Process(int(pid))
        words = {"worker": "worker start", "server": "prefect_server"}
        assert self.process is not None
        for child in self.process.children():
            if words.get(name, f"mirror {name} ") in " ".join([*child.cmdline(), ""]):
                return child
        raise LookupError(name)

    async def release(self) -> str:
        """Push a new release to the source; its tag."""
        self.releases += 1
        made = release(f"1.{self.releases}.0")
        await push(self.source.url, "team/app", made.version, made.image)
        return made.version

    async def arrival(self, tag: str, patience: float = 300.0) -> float:
        """Seconds until the target has the tag. Raises TimeoutError."""
        began = time.monotonic()
        async with httpx.AsyncClient(base_url=self.target.url) as client:
            while time.monotonic() - began < patience:
                answer = await client.head(f"/v2/copy/app/manifests/{tag}", headers=ACCEPT)
                if answer.status_code == 200:
                    return time.monotonic() - began
                await asyncio.sleep(0.3)
        raise TimeoutError(f"{tag} has not arrived after {patience:.0f} s:\n{self.said}")


ACCEPT = {
    "Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
}


@asynccontextmanager
async def machine(folder: Path) -> AsyncIterator[Machine]:
    """Two registries, and a `mirror up` between them that has copied its first tag."""
    with (
        docker_registry_process(folder / "source") as source,
        docker_registry_process(folder / "target") as target,
    ):
        settings = {
            "registries": {source.host: {"insecure": True}, target.host: {"insecure": True}},
            "mirrors": {
                "app": {
                    "source": f"{source.host}/team/app",
                    "target": f"{target.host}/copy/app",
                    "every": "10m",
                    "watch_every": WATCH_EVERY,
                }
            },
        }
        (folder / "mirrors.yaml").write_text(yaml.safe_dump(settings))
        running = Machine(folder, source, target)
        try:
            first = await running.release()
            await running.start()
            await running.arrival(first)
            yield running
        finally:
            await running.stop()
            await asyncio.to_thread(Cluster(folder / "data" / "postgres").stop)


async def kill(running: Machine, part: str) -> None:
    """kill -9 of a part."""
    running.part(part).kill()


async def freeze(running: Machine, part: str) -> None:
    """SIGSTOP of a part and its children, and SIGCONT a while later for those that are left."""
    leader = running.part(part)
    stopped = [leader, *leader.children(recursive=True)]
    for process in stopped:
        process.suspend()
    await asyncio.sleep(FROZEN_SECONDS)
    for process in stopped:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


async def kill_all_while_runs_start(running: Machine, _part: str) -> None:
    """kill -9 of `mirror up` and all of its processes while runs are Pending, as a power cut."""
    log = running.folder / "data" / "logs" / "prefect-worker.log"
    before = log.stat().st_size
    data = running.folder / "data"
    with patch.dict(os.environ, {LOGIN_ENV: login_file(data).read_text().strip()}):
        await run_now((data / "prefect-address").read_text().strip(), "sync/app")
    for _attempt in range(2400):
        if b"submitting flow run" in log.read_bytes()[before:]:
            break
        await asyncio.sleep(0.05)
    else:
        raise TimeoutError(f"no run was submitted in two minutes: {log}")
    assert running.process is not None
    for process in [running.process, *running.process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    postgres = running.part("postgres")
    for process in [*postgres.children(recursive=True), postgres]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    await running.start()


Fault = Callable[[Machine, str], Awaitable[None]]
FAULTS: dict[str, tuple[Fault, str]] = {
    "worker-killed": (kill, "worker"),
    "server-killed": (kill, "server"),
    "postgres-killed": (kill, "postgres"),
    "watch-killed": (kill, "watch"),
    "watchdog-killed": (kill, "watchdog"),
    "power-cut": (kill_all_while_runs_start, ""),
    "worker-frozen": (freeze, "worker"),
    "server-frozen": (freeze, "server"),
    "postgres-frozen": (freeze, "postgres"),
    "watch-frozen": (freeze, "watch"),
    "watchdog-frozen": (freeze, "watchdog"),
}


async def measure(names: list[str]) -> None:
    """Print the seconds from the end of each fault to the arrival of a tag pushed then."""
    with tempfile.TemporaryDirectory() as folder:
        async with machine(Path(folder)) as running:
            for name in names:
                fault, part = FAULTS[name]
                await fault(running, part)
                seconds = await running.arrival(await running.release())
                print(f"{name:18} {seconds:6.1f} s", flush=True)  # noqa: T201 - a command
            print(f"{'SIGTERM':18} {await running.stop():6.1f} s", flush=True)  # noqa: T201
            data = str(running.folder)
            left = [p for p in psutil.process_iter(["cmdline"]) if data in str(p.info["cmdline"])]
            print(f"processes left     {len(left)}")  # noqa: T201
            print(running.said)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1:] or list(FAULTS)))
