"""The lock on Prefect's server, tried on a real one: other users, other pages, other names."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import docket
import httpx
import psutil
import pytest
from burner_redis import BurnerRedis  # type: ignore[import-untyped]
from burner_redis.pubsub import PubSub  # type: ignore[import-untyped]
from prefect._internal.schemas import validators
from prefect.server.api import background_workers
from prefect.settings import Settings
from prefect.types._datetime import get_timezones
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from flows.local import prefect_server
from flows.local.ports import choose_port
from flows.local.prefect_programs import SERVER_SETTINGS, server_program
from flows.local.prefect_server import RESOLUTION, hosts, origins, rest_longer
from flows.local.supervisor import Supervisor
from flows.orchestration.api_login import login_file, server_login

NOBODY = 65534


class Server:
    """A running server, and what an enemy knows of it."""

    def __init__(self, data: Path, port: int, login: str, pid: int) -> None:
        self.data, self.port, self.login, self.pid = data, port, login, pid
        self.url = f"http://127.0.0.1:{port}"

    @property
    def basic(self) -> dict[str, str]:
        return {"Authorization": f"Basic {b64encode(self.login.encode()).decode()}"}


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    data = tmp_path_factory.mktemp("locked")
    port = choose_port("127.0.0.1", 0, "Prefect's server", "--ui-port")
    login = server_login(data)
    database = f"sqlite+aiosqlite:///{data}/prefect.db"
    program = server_program("127.0.0.1", port, database, data / "prefect", login)
    async with Supervisor(data / "logs") as supervisor:
        child = await supervisor.start(program)
        yield Server(data, port, login, child.pid)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=120) as opened:
        yield opened


async def test_nothing_is_read_or_changed_without_the_login(
    server: Server, client: httpx.AsyncClient
) -> None:
    token = await csrf(client, server)
    wrong = {"Authorization": f"Basic {b64encode(b'mirror:guessed-by-someone').decode()}"}
    for headers in ({}, wrong, {"Authorization": "Bearer x"}):
        for path in ("/api/flows/filter", "/api/block_documents/filter"):
            answer = await client.post(path, json={}, headers={**token, **headers})
            assert answer.status_code == 401, path
        assert (await client.get("/api/admin/version", headers=headers)).status_code == 401


async def test_the_login_opens_it(server: Server, client: httpx.AsyncClient) -> None:
    headers = {**server.basic, **await csrf(client, server)}
    answer = await client.post("/api/flows/filter", json={}, headers=headers)
    assert (answer.status_code, answer.json()) == (200, [])


async def test_on_sqlite_no_change_is_refused_because_of_another(
    server: Server, client: httpx.AsyncClient
) -> None:
    """Prefect's client waits 2 to 32 seconds, and longer each time, after such a refusal."""
    headers = {**server.basic, **await csrf(client, server)}
    made = await client.post("/api/flows/", json={"name": "at-once"}, headers=headers)
    flow = made.json()["id"]

    async def run(number: int) -> list[int]:
        body = {"flow_id": flow, "name": str(number), "state": {"type": "PENDING"}}
        made = await client.post("/api/flow_runs/", json=body, headers=headers)
        run = f"/api/flow_runs/{made.json().get('id')}"
        renamed = await client.patch(run, json={"name": "renamed"}, headers=headers)
        running = {"state": {"type": "RUNNING"}}
        moved = await client.post(f"{run}/set_state", json=running, headers=headers)
        return [made.status_code, renamed.status_code, moved.status_code]

    ended = await asyncio.gather(*(run(number) for number in range(40)))
    assert ended == [[201, 204, 201]] * 40


async def test_health_and_the_login_page_need_none(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/health")).json() is True
    page = await client.get("/")
    assert page.status_code == 200 and "<html" in page.text
    settings = (await client.get("/ui-settings")).json()
    assert settings["auth"] == "BASIC" and settings["csrf_enabled"] is True


async def test_a_change_without_a_csrf_token_is_refused(
    server: Server, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/api/flows/filter", json={}, headers=server.basic)
    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_page_of_another_origin_is_refused(
    server: Server, client: httpx.AsyncClient, origin: str
) -> None:
    headers = {**server.basic, **await csrf(client, server), "Origin": origin}
    for method, path in (("POST", "/api/flows/filter"), ("GET", "/api/health")):
        answer = await client.request(method, path, headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert (await client.options("/api/flows/filter", headers=asked)).status_code == 403


async def test_its_own_page_by_either_name_is_let_in(
    server: Server, client: httpx.AsyncClient
) -> None:
    for name in ("localhost", "127.0.0.1"):
        own = f"http://{name}:{server.port}"
        answer = await client.get("/api/health", headers={"Origin": own})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == own


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4200", "127.0.0.1.evil.example", "[::ffff:7f00:1]", ""]
)
async def test_a_foreign_host_name_is_refused(
    server: Server, client: httpx.AsyncClient, host: str
) -> None:
    for path in ("/api/health", "/", "/ui-settings", "/api/admin/version"):
        answer = await client.get(path, headers={**server.basic, "Host": host})
        assert answer.status_code == 400, path


async def test_websockets_are_guarded_as_well(server: Server) -> None:
    url = f"ws://127.0.0.1:{server.port}/api/events/out"
    with pytest.raises(InvalidStatus) as foreign:
        async with connect(url, origin=Origin("https://evil.example")):
            pass
    assert foreign.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as rebound:
        async with connect(url, additional_headers={"Host": "evil.example"}):
            pass
    assert rebound.value.response.status_code in (400, 403)
    with pytest.raises(InvalidStatus):
        async with connect(url):  # without the handshake that carries the login
            pass


def test_another_user_cannot_read_the_login(server: Server) -> None:
    file = login_file(server.data)
    assert file.stat().st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        for folder in (server.data, *server.data.parents[:-2]):
            folder.chmod(folder.stat().st_mode | 0o001)
        code = f"open({str(file)!r}).read()"
        done = subprocess.run(
            ["python3", "-c", code], user=NOBODY, group=NOBODY, cwd="/", capture_output=True
        )
        assert b"PermissionError" in done.stderr
        # And without it the API answers this user as it does any web page.
        url = f"{server.url}/api/admin/version"
        code = f"import urllib.request as r; r.urlopen({url!r})"
        done = subprocess.run(
            ["python3", "-c", code], user=NOBODY, group=NOBODY, cwd="/", capture_output=True
        )
        assert b"HTTP Error 401" in done.stderr


def test_the_login_is_in_no_argument_and_no_log(server: Server) -> None:
    _, _, password = server.login.partition(":")
    for process in (psutil.Process(server.pid), *psutil.Process(server.pid).children(True)):
        assert password not in " ".join(process.cmdline())
    encoded = b64encode(server.login.encode()).decode()
    for log in (server.data / "logs").iterdir():
        text = log.read_text()
        assert password not in text and encoded not in text


@pytest.mark.parametrize("login", [None, "", "nobody", "a:short"])
async def test_it_does_not_start_without_a_login(login: str | None, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PREFECT_HOME": str(tmp_path)}
    if login is not None:
        environment["PREFECT_SERVER_API_AUTH_STRING"] = login
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "flows.local.prefect_server", "--port", "1"),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert said.startswith(b"PREFECT_SERVER_API_AUTH_STRING: is not") and said.count(b"\n") == 1


def test_hosts_and_origins_follow_the_addresses_that_are_configured() -> None:
    named = {
        "PREFECT_UI_API_URL": "https://Prefect.example:8443/api",
        "PREFECT_API_URL": "http://prefect-server:4200/api",
    }
    loopback = {"127.0.0.1", "[::1]", "localhost"}
    assert set(hosts("0.0.0.0", named)) == loopback | {"prefect.example", "prefect-server"}
    assert set(hosts("10.0.0.7", {})) == loopback | {"10.0.0.7"}
    assert "https://prefect.example:8443" in origins(4200, named)
    assert origins(4200, {}) == {f"http://{name}:4200" for name in loopback}


async def csrf(client: httpx.AsyncClient, server: Server) -> dict[str, str]:
    answer = await client.get("/api/csrf-token?client=test", headers=server.basic)
    return {"Prefect-Csrf-Token": answer.json()["token"], "Prefect-Csrf-Client": "test"}


def test_its_loops_rest_longer_but_not_the_one_that_plans_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SERVER_SETTINGS.items():
        monkeypatch.setenv(name, value)
    server = Settings().server
    services = server.services
    assert services.scheduler.loop_seconds == 60
    assert services.scheduler.recent_deployments_loop_seconds == 60
    assert services.late_runs.loop_seconds == services.foreman.loop_seconds == 60
    assert services.pause_expirations.loop_seconds == services.repossessor.loop_seconds == 60
    assert services.cancellation_cleanup.loop_seconds == 60
    assert server.events.proactive_granularity == timedelta(seconds=60)


@pytest.fixture
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a server that rests longer."""
    monkeypatch.setattr(background_workers, "Worker", docket.Worker)
    monkeypatch.setattr(PubSub, "get_message", PubSub.get_message)
    monkeypatch.setattr(validators, "get_timezones", get_timezones)
    rest_longer()


@pytest.mark.usefixtures("rested")
async def test_its_background_worker_looks_for_work_every_few_seconds() -> None:
    make = vars(background_workers)["Worker"]
    worker = make(docket.Docket("tests", url="memory://tests"))
    assert worker.scheduling_resolution == worker.minimum_check_interval == RESOLUTION


@pytest.mark.usefixtures("rested")
async def test_it_hears_what_is_published_without_a_thread_that_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefect_server, "RESOLUTION", timedelta(seconds=0.05))
    monkeypatch.setattr(asyncio, "to_thread", None)  # PubSub would wait with it
    redis = BurnerRedis()
    channel = redis.pubsub()
    await channel.psubscribe("news:*")
    assert (await channel.get_message(timeout=0.1))["type"] == "psubscribe"
    assert await channel.get_message(timeout=0.1) is None
    await redis.publish("news:1", "hello")
    async with asyncio.timeout(60):
        while (message := await channel.get_message(timeout=0.1)) is None:
            pass
    assert message["data"] == b"hello"
    await channel.aclose()


@pytest.mark.usefixtures("rested")
def test_it_lists_the_time_zones_once() -> None:
    known = vars(validators)["get_timezones"]
    assert "Asia/Shanghai" in known()
    assert known() is known()
