"""Prefect's server and its process worker, as programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import httpx

from flows.local.ports import address
from flows.local.supervisor import Health, Program

WORK_POOL = "mirrors"
HISTORY = timedelta(days=7)

# https://docs.prefect.io/v3/api-ref/settings-ref: the record keeps the history that matters, so
# Prefect's own runs, logs and events go after a week; telemetry would only log errors offline.
SERVER_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(int(HISTORY.total_seconds())),
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{HISTORY.days}D",
    # Task runs and events are written many at once, at the latest after a second. One by one, as
    # it does by itself, the server takes as much of the processor as the sync that it watches.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
}


def server(host: str, port: int, database_url: str, home: Path) -> Program:
    """`prefect server start` with its database at database_url (postgresql+asyncpg://...).

    `home` is its PREFECT_HOME, so that a profile of the user's does not change it.
    """
    return Program(
        name="prefect-server",
        command=(_prefect(), "server", "start", "--host", host, "--port", str(port)),
        environment={
            **SERVER_SETTINGS,
            "PREFECT_API_DATABASE_CONNECTION_URL": database_url,
            "PREFECT_HOME": str(home),
            "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui"),
            "PREFECT_UI_API_URL": f"{address(host, port)}/api",
        },
        health=answers(f"{address(host, port)}/api/health"),
        startup_seconds=90.0,
    )


def worker(api_url: str, home: Path, environment: Mapping[str, str] | None = None) -> Program:
    """A process worker of the work pool `mirrors`; makes the pool if there is none.

    A flow run is a process of its own, in the worker's folder and environment.
    """
    command = (_prefect(), "worker", "start", "--pool", WORK_POOL, "--type", "process")
    return Program(
        name="prefect-worker",
        command=(*command, "--name", "mirror-up"),
        environment={
            **(environment or {}),
            "PREFECT_API_URL": api_url,
            "PREFECT_HOME": str(home),
        },
    )


def answers(url: str) -> Health:
    """A health check: whether a GET of url ends with 200."""

    async def healthy() -> bool:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
            try:
                return (await client.get(url)).status_code == httpx.codes.OK
            except httpx.HTTPError:
                return False

    return healthy


def _prefect() -> str:
    return str(Path(sys.executable).with_name("prefect"))
