"""What /healthz answers: whether each part of an installation works.

    monitor = HealthMonitor(settings, os.environ)
    await monitor.look()     # one HealthCheck for each part that is configured

Looks are shared: however many clients ask, each part is asked at most every five seconds, and one
that does not answer is asked once until it does.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from flows.local.disk_space import disk_space
from flows.local.prefect_programs import WORK_POOL
from mirror.config import Settings
from mirror.errors import DatabaseError
from mirror.history import (
    Cluster,
    create_engine,
    current_revision,
    data_dir,
    embedded_url,
    reachable,
    read_late_schedules,
)
from mirror.outcome import utcnow

BELIEVED = 5.0  # seconds that an answer is shown again
PATIENCE = 3.0  # seconds for one look; a part that is frozen does not answer


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One part: whether it works, and what is wrong or what was seen."""

    part: str  # record | prefect | worker | schedule | disk
    ok: bool
    message: str


class HealthMonitor:
    """The checks of the parts that this process's environment names."""

    def __init__(self, settings: Settings | None, environment: Mapping[str, str]) -> None:
        """`settings` name the mirrors whose schedules are checked; without them none is."""
        api = environment.get("PREFECT_API_URL", "").rstrip("/")
        self._checks: dict[str, Callable[[], Awaitable[str]]] = {
            "record": lambda: asyncio.to_thread(_record),
        }
        if api:
            login = environment.get("PREFECT_API_AUTH_STRING")
            self._checks["prefect"] = lambda: _prefect(api)
            self._checks["worker"] = lambda: _worker(api, login)
        if settings is not None:
            self._checks["schedule"] = lambda: asyncio.to_thread(_schedule, settings)
        self._checks["disk"] = lambda: asyncio.to_thread(_disk, data_dir())
        self._looking: dict[str, asyncio.Task[HealthCheck]] = {}
        self._seen: dict[str, tuple[float, HealthCheck]] = {}

    async def look(self) -> tuple[HealthCheck, ...]:
        """Each part now, or as it was a few seconds ago. Takes at most PATIENCE seconds."""
        now = time.monotonic()
        for part in self._checks:
            at, _ = self._seen.get(part, (-BELIEVED, None))
            if part not in self._looking and now - at >= BELIEVED:
                self._looking[part] = asyncio.create_task(self._check(part))
        if self._looking:
            await asyncio.wait(self._looking.values(), timeout=PATIENCE)
        for part, task in list(self._looking.items()):
            if task.done():
                self._seen[part] = time.monotonic(), self._looking.pop(part).result()
        return tuple(
            HealthCheck(part, False, f"no answer within {PATIENCE:g} s")
            if part in self._looking
            else self._seen[part][1]
            for part in self._checks
        )

    async def aclose(self) -> None:
        """Give up what was asked and has not answered."""
        for task in self._looking.values():
            task.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)

    async def _check(self, part: str) -> HealthCheck:
        try:
            return HealthCheck(part, True, await self._checks[part]())
        except (_Unwell, DatabaseError) as error:
            return HealthCheck(part, False, str(error))


class _Unwell(Exception):
    """A part that does not work; the message says what is wrong and what to do."""


def _address() -> str:
    """The history's address. Unlike mirror.history.database_url it starts nothing."""
    if configured := os.environ.get("MIRROR_DATABASE_URL"):
        return configured
    if Cluster.default().socket_dir() is None:
        raise _Unwell("the embedded PostgreSQL does not run: see logs of mirror up")
    return embedded_url("mirror")


def _record() -> str:
    url = _address()
    revision = current_revision(url)
    if revision is None:
        raise _Unwell("the database has no schema yet: run mirror migrate")
    return f"schema {revision}"


def _schedule(settings: Settings) -> str:
    url, now = _address(), utcnow()
    engine = create_engine(url, read_only=True)
    try:
        with reachable(url):
            late = read_late_schedules(engine, settings.mirrors, now, settings.alerting.missed_runs)
    finally:
        engine.dispose()
    if late:
        raise _Unwell("; ".join(each.line(now) for each in late))
    return "every schedule fires"


async def _prefect(api: str) -> str:
    if await _ask(f"{api}/health", None) is None:
        raise _Unwell("PREFECT_API_URL is not Prefect's API: its path ends in /api")
    return "answers"


async def _worker(api: str, login: str | None) -> str:
    # By GET: what the server takes by POST needs a CSRF token.
    answer = await _ask(f"{api}/work_pools/{WORK_POOL}", login)
    if answer is None:
        raise _Unwell(f"no work pool {WORK_POOL}: run mirror deploy")
    status = answer.json().get("status")
    if status != "READY":
        raise _Unwell(f"work pool {WORK_POOL} is {status}: start a worker, or resume the pool")
    return f"work pool {WORK_POOL} has a worker"


async def _ask(url: str, login: str | None) -> httpx.Response | None:
    """The answer, or None for a 404."""
    auth = httpx.BasicAuth(*login.split(":", 1)) if login and ":" in login else None
    try:
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False, auth=auth) as client:
            answer = await client.get(url)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            answer.raise_for_status()
            return answer
    except httpx.HTTPStatusError as error:
        raise _Unwell(f"Prefect's server returned {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _Unwell(f"Prefect's server does not answer ({type(error).__name__})") from error


def _disk(folder: Path) -> str:
    space = disk_space(folder)
    if not space.enough:
        raise _Unwell(space.message)
    return space.message
