"""Runs what docker-compose.yml names as plain processes of this machine, in dependency order.

The embedded PostgreSQL replaces the image postgres, behind a port as a container's would be;
host names, ports and folders of the containers are replaced by those of the test, nothing else.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import yaml

import flows
from flows.local.supervisor import Health, Program, Supervisor
from mirror.history.database.embedded import Cluster
from mirror.history.database.postgres_programs import programs

ROOT = Path(flows.__file__).parents[1]
VENV = Path(sys.executable).parent
STEP_SECONDS = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Composed:
    """The project as it runs: what started, in which order, and how each step ended."""

    folder: Path
    environment: Mapping[str, str]
    supervisor: Supervisor
    ports: dict[str, int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    exits: dict[str, int] = field(default_factory=dict)
    services: dict[str, dict[str, Any]] = field(default_factory=dict)

    def url(self, port: str) -> str:
        """The address of what listens at that port of its container."""
        return f"http://127.0.0.1:{self.ports[port]}"

    def here(self, text: str) -> str:
        """A word of the file with its variables filled in and its places replaced."""
        for pattern, place in (
            (r"postgres:5432", f"127.0.0.1:{self.ports['5432']}"),
            (r"^postgres$", "127.0.0.1"),
            (r"prefect-server:4200", f"127.0.0.1:{self.ports['4200']}"),
            (r"^0\.0\.0\.0$", "127.0.0.1"),
            (r"^/app/mirrors.yaml$", str(self.folder / "mirrors.yaml")),
            (r"^/site/public$", str(self.folder / "site" / "public")),
        ):
            text = re.sub(pattern, place, text)
        for port, ours in self.ports.items():
            text = re.sub(rf"(^|127\.0\.0\.1:){port}(?!\d)", rf"\g<1>{ours}", text)
        return text

    def filled(self, text: str) -> str:
        """A text of the file with ${NAME}, ${NAME:-default} and ${NAME:?why} filled in."""

        def value(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            found = self.environment.get(name) or default
            assert found is not None, f"{name} is not set and has no default"
            return found

        return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}", value, text)

    def environment_of(self, service: Mapping[str, Any]) -> dict[str, str]:
        """A service's environment, env_file included."""
        own = {
            name: self.here(self.filled(value)) for name, value in service["environment"].items()
        }
        return {**(self.environment if "env_file" in service else {}), **own}

    def command(self, words: list[str]) -> tuple[str, ...]:
        """A service's command with the programs of this machine."""
        first, *rest = (self.here(self.filled(word)) for word in words)
        known = {"python": sys.executable, "mirror": VENV / "mirror", "prefect": VENV / "prefect"}
        if first in ("pg_isready", "psql", "createdb"):
            first = str(programs() / first)
        return (str(known.get(first, first)), *rest)

    def health(self, name: str, environment: Mapping[str, str]) -> Health:
        """The health check of a service, as the command that the file names."""
        kind, *words = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"

        async def healthy() -> bool:
            return await self.run(Program(name, self.command(words), environment)) == 0

        return healthy

    async def run(self, program: Program) -> int:
        """Run a program to its end; its exit code."""
        log = self.folder / "logs" / f"{program.name}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self.environment, **program.environment},
                cwd=self.folder,
            )
            return await asyncio.wait_for(process.wait(), STEP_SECONDS)


def in_order(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The services, each after all that it depends on."""
    order: list[str] = []

    def visit(name: str) -> None:
        for other in services[name].get("depends_on", {}):
            visit(other)
        if name not in order:
            order.append(name)

    for name in services:
        visit(name)
    return order


@asynccontextmanager
async def composed(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Composed]:
    """Start every service of docker-compose.yml as a process; stop all on leaving.

    `folder` is /app: mirrors.yaml is there. `environment` is what the
    processes inherit, with the variables of .env.
    """
    found = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    services = {name: one for name, one in found.items() if "profiles" not in one}
    (folder / "logs").mkdir()
    cluster = Cluster(folder / "postgres-data" / "postgres")
    async with postgres(cluster) as port, Supervisor(folder / "logs", environment) as supervisor:
        project = Composed(folder, environment, supervisor, services=services)
        project.ports = {"5432": port} | {name: free_port() for name in ("4200", "8080", "8081")}
        for name in in_order(services):
            await start(project, name)
            project.order.append(name)
        yield project


async def start(project: Composed, name: str) -> None:
    """Start one service and wait until it is healthy, or run a step to its end."""
    service = project.services[name]
    environment = project.environment_of(service)
    if name == "postgres":  # its replacement runs already
        port = {"PGPORT": str(project.ports["5432"])}
        assert await project.health(name, port)()
        return
    path = f"{programs()}:{VENV}:{project.environment['PATH']}"
    program = Program(
        name,
        project.command(service["command"]),
        {"PATH": path, **environment},
        health=None if is_step(service) else project.health(name, environment),
        startup_seconds=120,
        directory=project.folder,
    )
    if is_step(service):
        project.exits[name] = await project.run(program)
    else:
        await project.supervisor.start(program)


def is_step(service: Mapping[str, Any]) -> bool:
    """Whether a service ends by itself."""
    restart: str = service["restart"]
    return restart.startswith("on-failure")


@asynccontextmanager
async def postgres(cluster: Cluster) -> AsyncIterator[int]:
    """The embedded PostgreSQL with the image's user and database, behind a separate port."""
    folder = await asyncio.to_thread(cluster.start)
    try:
        await asyncio.to_thread(_entrypoint, cluster)
        async with await asyncio.start_server(
            lambda reader, writer: _pipe(folder / ".s.PGSQL.5432", reader, writer), "127.0.0.1", 0
        ) as server:
            yield server.sockets[0].getsockname()[1]
    finally:
        await asyncio.to_thread(cluster.stop)
        shutil.rmtree(cluster.folder.parent)


def _entrypoint(cluster: Cluster) -> None:
    """What the image's entrypoint does with POSTGRES_USER and POSTGRES_DB."""
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE mirror LOGIN SUPERUSER")
        connection.execute("CREATE DATABASE mirror OWNER mirror")


async def _pipe(path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    other_reader, other_writer = await asyncio.open_unix_connection(str(path))

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except ConnectionError:
            return
        finally:
            sink.close()

    await asyncio.gather(copy(reader, other_writer), copy(other_reader, writer))
