"""What `mirror up` and `mirror demo` need: Postgres and Prefect's server.

Everything lives in one data folder: `postgres/` (the history's and Prefect's databases), `prefect/`
(Prefect's files), `logs/` (one file per process), `site/` (the published site).
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from flows.local.data_folder import pid_file
from flows.local.ports import address
from flows.local.postgres_keeper import stop_postgres
from flows.local.prefect_programs import server_program
from flows.local.supervisor import Program, Supervisor
from flows.orchestration import LOGIN_ENV, SERVER_ENV, login_file, note_address, server_login
from mirror.history import SUPERUSER, Cluster, data_dir, database_url, is_embedded, prepare

PREFECT_DATABASE = "prefect"


@dataclass(frozen=True, slots=True)
class Stack:
    """A running history database and Prefect server."""

    data: Path
    database_url: str
    ui_url: str
    login: str = field(repr=False)
    server: Program
    supervisor: Supervisor
    postgres: Cluster | None  # None: both databases are on servers of the operator

    @property
    def api_url(self) -> str:
        """PREFECT_API_URL."""
        return f"{self.ui_url}/api"

    @property
    def show_login(self) -> str:
        """The command that prints the login of Prefect's UI and API."""
        if os.environ.get(SERVER_ENV) is not None:
            return f"echo ${SERVER_ENV}"
        return f"cat {shlex.quote(str(login_file(self.data)))}"

    @property
    def prefect_home(self) -> Path:
        """PREFECT_HOME."""
        return self.data / "prefect"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that point a `mirror` process at this database and server."""
        return {
            "MIRROR_DATA_DIR": str(self.data),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_HOME": str(self.prefect_home),
            LOGIN_ENV: self.login,
        }


@asynccontextmanager
async def running_stack(
    host: str, port: int, *, own_postgres: bool = False
) -> AsyncIterator[Stack]:
    """Start what is not running yet, and stop on exit what was started here.

    `own_postgres`: stop the embedded PostgreSQL on exit even if it was running already.

    The history is at MIRROR_DATABASE_URL or embedded, Prefect's database at
    PREFECT_API_DATABASE_CONNECTION_URL or embedded. This process's PREFECT_API_URL becomes the
    server's. Raises MirrorError when a part does not start.
    """
    data = data_dir()
    async with AsyncExitStack() as stack:
        cluster = Cluster.default()
        if own_postgres or cluster.socket_dir() is None:
            stack.push_async_callback(stop_postgres, cluster)
        history_url = await asyncio.to_thread(database_url)
        prefect_database = os.environ.get("PREFECT_API_DATABASE_CONNECTION_URL")
        embedded = cluster if prefect_database is None or is_embedded(history_url) else None
        if prefect_database is None:
            prefect_database = await asyncio.to_thread(_embedded_prefect_database, cluster)
        supervisor = await stack.enter_async_context(
            Supervisor(data / "logs", pid_file=pid_file(data))
        )
        login = server_login(data)
        program = server_program(host, port, prefect_database, data / "prefect", login)
        # Both take seconds: the schema is migrated while Prefect's server starts.
        migration = asyncio.create_task(asyncio.to_thread(prepare, history_url))
        try:
            await supervisor.start(program)
        finally:
            await migration
        running = Stack(
            data, history_url, address(host, port), login, program, supervisor, embedded
        )
        note_address(data, running.api_url)
        os.environ.update(running.environment)
        yield running


def _embedded_prefect_database(cluster: Cluster) -> str:
    cluster.ensure_database(PREFECT_DATABASE)
    url = sa.URL.create(
        "postgresql+asyncpg",
        username=SUPERUSER,
        database=PREFECT_DATABASE,
        query={"host": str(cluster.start())},
    )
    return url.render_as_string(hide_password=False)
