"""Prefect's server and its process worker, as programs."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from flows.local.ports import address
from flows.local.prefect_server import UI
from flows.local.supervisor import Health, Program
from flows.orchestration import SERVER, SERVER_ENV, inherited_by_prefect

WORK_POOL = "mirrors"
WORKER_MODULE = "flows.local.prefect_worker"
KEPT = timedelta(days=7)

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
    # At rest the server's loops are most of what an installation costs; behind each its default.
    # Schedules stay on time: the loop that plans their runs, an hour ahead, is as it was.
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "60",  # 5; new ones
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "60",  # 5; marks runs that are late
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "60",  # 5; no flow pauses
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "60",  # 20
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "60",  # 15; leases of concurrency limits
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "60",  # 15; whether workers are alive
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT60S",  # 5; automations that miss an event
}


def server_program(host: str, port: int, database_url: str, home: Path, login: str) -> Program:
    """Prefect's server with its database at database_url (postgresql+asyncpg://...).

    `home` is its PREFECT_HOME: the user's own profile must not change it. `login` is user:password.
    """
    return Program(
        name="prefect-server",
        command=(*SERVER, "--host", host, "--port", str(port)),
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
        inherits=inherited_by_prefect,
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
    options = (
        "--pool",
        WORK_POOL,
        "--type",
        "process",
        "--name",
        "mirror-up",
        "--with-healthcheck",
    )
    return Program(
        name="prefect-worker",
        command=(sys.executable, "-P", "-m", WORKER_MODULE, "start", *options),
        alive=returns_200(f"{address('127.0.0.1', health_port)}/health"),
        environment={
            **(environment or {}),
            "PREFECT_WORKER_WEBSERVER_HOST": "127.0.0.1",
            "PREFECT_WORKER_WEBSERVER_PORT": str(health_port),
            "PREFECT_API_URL": api_url,
            "PREFECT_HOME": str(home),
            # Runs are fetched before they are due, so they start no later for it.
            "PREFECT_WORKER_QUERY_SECONDS": "15",  # 10
            "PREFECT_WORKER_PREFETCH_SECONDS": "20",  # 10
        },
    )


def returns_200(url: str) -> Health:
    """A health check: whether GET url returns 200, over http. httpx would take 2 ms each time."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()

    async def healthy() -> bool:
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                try:
                    writer.write(request)
                    return (await reader.readline()).split()[1:2] == [b"200"]
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):  # ValueError: a line without end
            return False

    return healthy


def wrote_within(log: Path, seconds: float) -> Health:
    """A health check: whether a program wrote to its log in the last seconds."""

    async def wrote() -> bool:
        return log.exists() and time.time() - log.stat().st_mtime < seconds

    return wrote
