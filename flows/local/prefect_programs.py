"""Prefect's server and its process worker, as programs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import httpx

from flows.local.ports import address
from flows.local.prefect_server import UI
from flows.local.supervisor import Health, Program
from flows.orchestration import SERVER_ENV

WORK_POOL = "mirrors"
SERVER_MODULE = "flows.local.prefect_server"
KEPT = timedelta(days=7)

# What a program needs of its surroundings. Credentials of registries go to the worker alone.
BASIC = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "VIRTUAL_ENV"),
        *("TZ", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy"),
        *("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS"),
    }
)

# https://docs.prefect.io/v3/api-ref/settings-ref. Our database keeps what matters, so Prefect's
# runs, logs and events are deleted after a week; telemetry would only log errors offline.
SERVER_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(int(KEPT.total_seconds())),
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{KEPT.days}D",
    # Task runs and events are written in batches, at the latest after a second. One by one, as is
    # the default, the server uses as much processor time as the sync that it observes.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
}


def server_program(host: str, port: int, database_url: str, home: Path, login: str) -> Program:
    """Prefect's server with its database at database_url (postgresql+asyncpg://...).

    `home` is its PREFECT_HOME: the user's own profile must not change it. `login` is user:password.
    """
    return Program(
        name="prefect-server",
        command=(sys.executable, "-m", SERVER_MODULE, "--host", host, "--port", str(port)),
        environment={
            **SERVER_SETTINGS,
            "PREFECT_API_DATABASE_CONNECTION_URL": database_url,
            "PREFECT_HOME": str(home),
            "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui"),
            "PREFECT_UI_API_URL": os.environ.get(UI, f"{address(host, port)}/api"),
            SERVER_ENV: login,
        },
        health=returns_200(f"{address(host, port)}/api/health"),
        alive=returns_200(f"{address(host, port)}/api/health"),
        startup_seconds=90.0,
        inherits=lambda name: name in BASIC or name.startswith("PREFECT_"),
    )


def worker_program(
    api_url: str,
    home: Path,
    health_port: int,
    limit: int,
    environment: Mapping[str, str] | None = None,
) -> Program:
    """A process worker of the work pool `mirrors`, which it creates if needed.

    Each flow run is a separate process, in the worker's folder and environment; at most `limit` at
    once. On `health_port` the worker says whether it still looks for runs.
    """
    command = (_prefect(), "worker", "start", "--pool", WORK_POOL, "--type", "process")
    return Program(
        name="prefect-worker",
        command=(*command, "--name", "mirror-up", "--limit", str(limit), "--with-healthcheck"),
        alive=returns_200(f"{address('127.0.0.1', health_port)}/health"),
        environment={
            **(environment or {}),
            "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
            "PREFECT_WORKER_WEBSERVER_PORT": str(health_port),
            "PREFECT_API_URL": api_url,
            "PREFECT_HOME": str(home),
        },
    )


def returns_200(url: str) -> Health:
    """A health check: whether GET url returns 200."""

    async def healthy() -> bool:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            try:
                return (await client.get(url)).status_code == httpx.codes.OK
            except httpx.HTTPError:
                return False

    return healthy


def wrote_within(log: Path, seconds: float) -> Health:
    """A health check: whether a program wrote to its log in the last seconds."""

    async def wrote() -> bool:
        return log.exists() and time.time() - log.stat().st_mtime < seconds

    return wrote


def _prefect() -> str:
    return str(Path(sys.executable).with_name("prefect"))
