"""/healthz says which part of an installation does not work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from flows.local import choose_port, disk_space, health_checks
from flows.local.health_checks import HealthMonitor
from flows.local.site_server import serve_site
from mirror.history import PostgresRecorder, WatchRow, mirror_row
from mirror.outcome import utcnow
from tests.alerts.story import MIRROR, settings

Look = Callable[[Mapping[str, str]], Any]


@asynccontextmanager
async def prefect(status: str, frozen: asyncio.Event | None = None) -> AsyncIterator[str]:
    """A server that answers as Prefect's does: /health, and the state of its work pool."""

    async def health(_: web.Request) -> web.Response:
        if frozen is not None:
            await frozen.wait()
        return web.json_response(True)

    async def pool(_: web.Request) -> web.Response:
        return web.json_response({"name": "mirrors", "status": status})

    app = web.Application()
    app.router.add_get("/api/health", health)
    app.router.add_get("/api/work_pools/mirrors", pool)
    runner = web.AppRunner(app)
    await runner.setup()
    port = choose_port("127.0.0.1", 0, "Prefect", "--port")
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/api"
    finally:
        if frozen is not None:
            frozen.set()
        await runner.cleanup()


async def healthz(api: str, folder: Path) -> tuple[int, dict[str, Any]]:
    """The status and the document of /healthz."""
    port = choose_port("127.0.0.1", 0, "the site", "--port")
    monitor = HealthMonitor(settings(), {"PREFECT_API_URL": api})
    async with (
        serve_site(folder, "127.0.0.1", port, monitor),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        assert (await client.get("/livez")).status_code == 200
        answer = await client.get("/healthz", timeout=60)
        return answer.status_code, answer.json()


@pytest.fixture
def installed(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment of an installation: a record and a data folder."""
    monkeypatch.setenv("MIRROR_DATABASE_URL", url)
    monkeypatch.setenv("MIRROR_DATA_DIR", str(tmp_path / "data"))
    return url


async def test_an_installation_that_works_is_healthy(installed: str, tmp_path: Path) -> None:
    async with prefect("READY") as api:
        status, document = await healthz(api, tmp_path)
    assert (status, document["status"]) == (200, "ok")
    assert list(document["checks"]) == ["record", "prefect", "worker", "schedule", "disk"]
    assert all(check["ok"] for check in document["checks"].values())


async def test_a_pool_without_a_worker_and_a_schedule_that_is_silent_are_named(
    installed: str, tmp_path: Path
) -> None:
    async with PostgresRecorder.open(installed) as record:
        await record.ensure_mirror(mirror_row(settings().mirrors[MIRROR]))
        long_ago = utcnow() - timedelta(hours=1)
        await record.add_watch(WatchRow(long_ago, long_ago, (MIRROR,), (), (), 1))
    async with prefect("NOT_READY") as api:
        status, document = await healthz(api, tmp_path)
    failing = {part: each["message"] for part, each in document["checks"].items() if not each["ok"]}
    assert (status, document["status"]) == (503, "failing")
    assert set(failing) == {"worker", "schedule"}
    assert "start a worker" in failing["worker"]
    assert "the watch has not run for 60 min" in failing["schedule"]


async def test_a_dead_record_and_server_and_a_full_disk_are_named(
    installed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_DATABASE_URL", "postgresql://nobody:a-secret@127.0.0.1:1/nothing")
    monkeypatch.setattr(disk_space, "_ROOM", 1 << 62)
    monkeypatch.setattr(disk_space, "_ROOM_SHARE", 1.0)
    status, document = await healthz("http://127.0.0.1:1/api", tmp_path)
    assert status == 503
    assert [part for part, each in document["checks"].items() if each["ok"]] == []
    assert "a-secret" not in str(document)


async def test_a_server_that_is_frozen_holds_up_nobody(
    installed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_checks, "PATIENCE", 0.2)
    monkeypatch.setattr(health_checks, "BELIEVED", 0.0)
    frozen = asyncio.Event()
    async with prefect("READY", frozen) as api:
        monitor = HealthMonitor(None, {"PREFECT_API_URL": api})
        checks = [await monitor.look() for _ in range(3)]
        await monitor.aclose()
    answers = [check for look in checks for check in look if check.part == "prefect"]
    assert [check.ok for check in answers] == [False, False, False]
    assert all("answer" in check.message for check in answers)
