"""The services of docker-compose.yml as processes of this machine, each started and stopped alone.

What exits is started again, as `restart: unless-stopped` does it. PostgreSQL is the embedded one,
given to the others as a server's address.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final
from unittest.mock import patch

import httpx
import psutil
import psycopg
import yaml

from faults.front import Front, front_of
from faults.invariants import Storage
from faults.machine import lives
from faults.stage import SOURCE, TARGET
from flows.local.ports import choose_port
from flows.local.prefect_programs import SERVER_SETTINGS
from flows.local.sample_registry.images import single
from flows.orchestration import LOGIN_ENV, SERVER_ENV
from mirror.history import Cluster
from mirror.history.database import postgres_programs
from tests.support.fake_registry.push import push
from tests.support.registry_process import DockerRegistry, docker_registry_process

RUNNING: Final = ("server", "worker", "watch", "watchdog", "site")
PARTS: Final = ("postgres", "migrate", *RUNNING)
_AGAIN: Final = 1.0  # seconds until what exited is started again
_STARTED_WITHIN: Final = 300.0
_MIRROR: Final = str(Path(sys.executable).with_name("mirror"))


@dataclass
class Parts:
    """Two registries and the services between them. `extra`: variables of every part."""

    folder: Path
    rng: Random
    source: DockerRegistry
    target: DockerRegistry
    front: Front
    extra: Mapping[str, str]
    ports: Mapping[str, int]
    login: str
    socket: Path = Path()  # PostgreSQL's
    pushed: dict[str, str] = field(default_factory=dict)
    _kept: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def cluster(self) -> Cluster:
        """PostgreSQL's."""
        return Cluster(self.folder / "data" / "postgres")

    @property
    def storage(self) -> Storage:
        """The target's files."""
        return Storage(self.target.storage, TARGET)

    @property
    def environment(self) -> dict[str, str]:
        """Of every part."""
        api = f"http://127.0.0.1:{self.ports['server']}/api"
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **SERVER_SETTINGS,
            "MIRROR_CONFIG": str(self.folder / "mirrors.yaml"),
            "MIRROR_DATA_DIR": str(self.folder / "own"),
            "MIRROR_DATABASE_URL": f"postgresql://postgres@/mirror?host={self.socket}",
            "MIRROR_SITE_DIR": str(self.folder / "site"),
            "PREFECT_API_URL": api,
            "PREFECT_UI_API_URL": api,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_DATABASE_CONNECTION_URL": (
                f"postgresql+asyncpg://postgres@/prefect?host={self.socket}"
            ),
            "PREFECT_WORKER_WEBSERVER_PORT": str(self.ports["worker"]),
            LOGIN_ENV: self.login,
            SERVER_ENV: self.login,
            **self.extra,
        }

    def command(self, part: str) -> tuple[str, ...]:
        """What docker-compose.yml starts for it."""
        python = (sys.executable, "-P", "-m")
        worker = ("start", "--pool", "mirrors", "--type", "process", "--with-healthcheck")
        return {
            "migrate": (_MIRROR, "migrate"),
            "deploy": (_MIRROR, "deploy", "--no-watch"),
            "server": (*python, "flows.local.prefect_server", "--port", str(self.ports["server"])),
            "worker": (*python, "flows.local.prefect_worker", *worker, "--limit", "20"),
            "watch": (_MIRROR, "watch"),
            "watchdog": (_MIRROR, "watchdog"),
            "site": (
                *(_MIRROR, "serve", str(self.folder / "site")),
                *("--port", str(self.ports["site"])),
            ),
        }[part]

    async def start(self, part: str) -> None:
        """Start a part; it is kept running. PostgreSQL is up on return."""
        if part == "postgres":
            names = (*postgres_programs.INHERITED, *self.extra)
            given = patch.object(postgres_programs, "INHERITED", names)
            with given, patch.dict(os.environ, self.extra):
                self.socket = await asyncio.to_thread(self.cluster.start)
            return
        self._kept[part] = asyncio.create_task(self._keep(part))

    async def once(self, part: str) -> None:
        """Run a step until it succeeds, as `restart: on-failure` does it."""
        for _ in range(10):
            process = await self._spawn(part)
            if await process.wait() == 0:
                return
            await asyncio.sleep(_AGAIN)
        raise RuntimeError(f"{part} failed:\n{self.log(part)}")

    async def stop(self, part: str, *, kill: bool = True) -> float:
        """SIGTERM, or a fast shutdown of PostgreSQL; the seconds until it has ended.

        `kill`: what outlives it is killed, as a container's processes are.
        """
        began = time.monotonic()
        if part == "postgres":
            await asyncio.to_thread(self.cluster.stop)
        if task := self._kept.pop(part, None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        process = self._processes.pop(part, None)
        if process is not None and process.returncode is None:
            everything = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 60)
            finally:
                for each in filter(lives, everything if kill else ()):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        each.kill()
        return time.monotonic() - began

    async def run_now(self, deployment: str) -> None:
        """Have the worker run a deployment, `flow/name`."""
        call = f"run_deployment({deployment!r}, timeout=0)"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", f"from prefect.deployments import run_deployment; {call}"),
            env=self.environment,
        )
        if await process.wait():
            raise RuntimeError(f"{deployment} could not be started")

    def process(self, part: str) -> psutil.Process:
        """A part's process."""
        return psutil.Process(self._processes[part].pid)

    async def up(self) -> None:
        """Wait until Prefect's server answers and everything that was started runs."""
        deadline = time.monotonic() + _STARTED_WITHIN
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(httpx.HTTPError):
                    health = f"http://127.0.0.1:{self.ports['server']}/api/health"
                    if (await client.get(health)).status_code == 200:
                        return
                await asyncio.sleep(0.2)
        raise TimeoutError(f"Prefect's server did not start:\n{self.log('server')}")

    def log(self, part: str) -> str:
        """The end of what a part printed."""
        return (self.folder / f"{part}.log").read_text(errors="replace")[-3000:]

    async def push(self, size: int | None = None) -> str:
        """A new tag at the source, its layer of `size` bytes."""
        tag = f"1.0.{len(self.pushed)}"
        sizes = [size or self.rng.randint(1_000, 300_000)]
        image = single(f"{self.rng.random()}", sizes=sizes)
        self.pushed[tag] = await push(self.source.url, SOURCE, tag, image)
        return tag

    async def arrived(self, tag: str, seconds: float) -> float | None:
        """Seconds until a tag is at the target; None if it does not come."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if self.storage.tags().get(tag) == self.pushed[tag]:
                return round(time.monotonic() - began, 1)
            await asyncio.sleep(0.2)
        return None

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Rows of the history."""
        conninfo = Cluster.conninfo_at(self.socket, "mirror")
        with psycopg.connect(conninfo, row_factory=psycopg.rows.dict_row) as history:
            return history.execute(query.encode(), values).fetchall()

    async def _spawn(self, part: str) -> asyncio.subprocess.Process:
        with (self.folder / f"{part}.log").open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *self.command(part),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )
        self._processes[part] = process
        return process

    async def _keep(self, part: str) -> None:
        while True:
            await (await self._spawn(part)).wait()
            await asyncio.sleep(_AGAIN)


@asynccontextmanager
async def parts(
    folder: Path,
    rng: Random,
    *,
    mirror: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    upload_rate: int | None = None,
) -> AsyncIterator[Parts]:
    """The databases, Prefect's server and the deployments. `mirror` adds keys.

    `upload_rate`: bytes a second to the target; None: as fast as it goes.
    """
    async with AsyncExitStack() as stack:
        source = stack.enter_context(docker_registry_process(folder / "source"))
        target = stack.enter_context(docker_registry_process(folder / "target"))
        front = await stack.enter_async_context(front_of(target.host))
        front.upload_rate = upload_rate
        to = front.host if upload_rate else target.host
        settings = {
            "registries": {host: {"insecure": True} for host in (source.host, to)},
            "mirrors": {
                "m": {
                    "source": f"{source.host}/{SOURCE}",
                    "target": f"{to}/{TARGET}",
                    "every": "2m",
                    **(mirror or {}),
                }
            },
        }
        (folder / "mirrors.yaml").write_text(yaml.safe_dump(settings))
        (folder / "site").mkdir()
        ports = {name: choose_port("127.0.0.1", 0, name, "-") for name in RUNNING}
        login = f"mirror:{secrets.token_hex(16)}"
        made = Parts(folder, rng, source, target, front, environment or {}, ports, login)
        await made.start("postgres")
        for name in ("prefect", "mirror"):
            await asyncio.to_thread(made.cluster.ensure_database, name)
        stack.push_async_callback(made.stop, "postgres")
        for part in RUNNING:
            stack.push_async_callback(made.stop, part)
        await made.once("migrate")
        await made.start("server")
        await made.up()
        await made.once("deploy")
        yield made
