"""`mirror up`: everything from nothing on one machine, and nothing left when it is stopped."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import pytest
import yaml
from prefect.client.base import PrefectHttpxAsyncClient

from flows.local.prefect_programs import WORK_POOL
from flows.local.sample_registry.releases import release
from flows.orchestration import deploy, planned
from flows.orchestration.api_login import server_login
from mirror.config import load_settings
from mirror.history.database.embedded import Cluster
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry

MIRROR = Path(sys.executable).with_name("mirror")
SOURCE = "newbe36524/hagicode"
SECRETS = {"EAST_PASSWORD": "planted-for-a-registry", "DINGTALK_TOKEN": "planted-for-alerts"}


def mirror(name: str, source: FakeRegistry, target: FakeRegistry) -> dict[str, str]:
    return {
        "source": f"{source.host}/{SOURCE}",
        "target": f"{target.host}/{name}/hagicode",
        "every": "45m",
        "watch_every": "3m",
    }


@dataclass
class Up:
    """A running `mirror up`."""

    process: psutil.Process
    folder: Path
    target: FakeRegistry
    said: str = ""

    def address(self, name: str) -> str:
        """What it said is the address of that part."""
        found = re.search(rf"^{name} +(http://\S+)", self.said, re.MULTILINE)
        assert found is not None, self.said
        return found[1]

    @property
    def login(self) -> str:
        return server_login(self.folder / "data")

    def client(self) -> httpx.AsyncClient:
        """A client of Prefect's API with the login."""
        return PrefectHttpxAsyncClient(
            base_url=f"{self.address('Prefect')}/api",
            auth=httpx.BasicAuth(*self.login.split(":", 1)),
            enable_csrf_support=True,
        )

    async def deployments(self) -> dict[str, dict[str, Any]]:
        async with self.client() as client:
            flows = (await client.post("/flows/filter", json={})).json()
            names = {flow["id"]: flow["name"] for flow in flows}
            answer = await client.post("/deployments/filter", json={})
            answer.raise_for_status()
            return {f"{names[each['flow_id']]}/{each['name']}": each for each in answer.json()}


async def start_up(folder: Path, output: int | IO[bytes], *options: str) -> Process:
    """`mirror up` on the data of that folder; Prefect only looks more often than it would."""
    return await asyncio.create_subprocess_exec(
        MIRROR,
        "up",
        "--config",
        folder / "mirrors.yaml",
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "MIRROR_DATA_DIR": str(folder / "data"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            **SECRETS,
        },
    )


async def refused(folder: Path, *options: str) -> tuple[int | None, str]:
    """`mirror up` that is to fail: its exit code and what it said."""
    process = await start_up(folder, asyncio.subprocess.PIPE, *options)
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode()


@pytest.fixture(scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    folder = tmp_path_factory.mktemp("up")
    async with FakeRegistry() as source, FakeRegistry() as target, FakeHub(source.store) as hub:
        made = release("0.1.0-beta.78")
        await push(source.url, SOURCE, made.tags, made.image)
        hosts = {
            source.host: {"insecure": True, "hub_api": hub.url},
            target.host: {"insecure": True},
            "east.example": {"username": "east", "password_env": "EAST_PASSWORD"},
        }
        names = ("east", "west")
        settings = {
            "registries": hosts,
            "mirrors": {name: mirror(name, source, target) for name in names},
        }
        (folder / "mirrors.yaml").write_text(yaml.safe_dump(settings))
        with (folder / "out").open("wb") as output:
            process = await start_up(folder, output, "--ui-port", "0", "--site-port", "0")
        running = Up(psutil.Process(process.pid), folder, target)
        try:
            for _ in range(900):
                running.said = (folder / "out").read_text()
                if "Ctrl-C" in running.said:
                    break
                assert process.returncode is None, running.said
                await asyncio.sleep(0.2)
            yield running
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()
            await asyncio.to_thread(Cluster(folder / "data" / "postgres").stop)


async def test_what_it_names_answers(up: Up) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{up.address('Prefect')}/api/health")).status_code == 200
        assert (await client.get(up.address("Prefect"))).status_code == 200
        for _ in range(120):  # the worker reports itself a moment after it has started
            healthy = await client.get(f"{up.address('Site')}/healthz")
            if healthy.status_code == 200:
                break
            await asyncio.sleep(0.5)
        assert healthy.status_code == 200, healthy.text


async def test_prefect_is_locked_and_the_way_in_is_said_without_the_secret(up: Up) -> None:
    async with httpx.AsyncClient(base_url=f"{up.address('Prefect')}/api") as client:
        assert (await client.get("/admin/version")).status_code == 401
    assert f"cat {up.folder / 'data' / 'prefect-login'}" in up.said
    password = up.login.partition(":")[2]
    assert password not in up.said
    for log in (up.folder / "data" / "logs").iterdir():
        assert password not in log.read_text(errors="replace"), log
    for process in (up.process, *up.process.children(recursive=True)):
        assert password not in " ".join(process.cmdline())


async def test_each_process_has_the_secrets_that_it_needs_and_no_others(up: Up) -> None:
    holders = {"worker": set(SECRETS), "watchdog": {"DINGTALK_TOKEN"}, "site": set()}
    holders |= {"prefect_server": set(), "postgres": set()}
    seen = set()
    for process in up.process.children(recursive=True):
        line = " ".join(process.cmdline())
        kind = next((kind for kind in holders if kind in line), None)
        kind = "site" if " serve " in line else kind
        if kind is None or "multiprocessing" in line:
            continue
        seen.add(kind)
        assert SECRETS.keys() & process.environ().keys() <= holders[kind], line
    assert seen >= {"worker", "watchdog", "site", "prefect_server"}


async def test_logs_are_for_the_owner_alone(up: Up) -> None:
    logs = up.folder / "data" / "logs"
    assert logs.stat().st_mode & 0o777 == 0o700
    for log in logs.iterdir():
        assert log.stat().st_mode & 0o777 == 0o600, log


async def test_the_schedules_are_those_of_mirrors_yaml(up: Up) -> None:
    found = await up.deployments()
    every = {name: each["schedules"][0]["schedule"]["interval"] for name, each in found.items()}
    assert every["sync/east"] == every["sync/west"] == 45 * 60
    assert "watch/all-mirrors" not in every, "`mirror watch` runs instead"
    assert found["sync/east"]["parameters"] == {"mirror": "east", "full": True}
    assert found["sync/east"]["entrypoint"] == "flows.sync.sync"
    assert {each["global_concurrency_limit"] for each in found.values()} == {None}


async def test_new_mirrors_are_synced_without_waiting_for_the_schedule(up: Up) -> None:
    wanted = {"0.1.0-beta.78", "0.1.0", "0.1", "0", "latest"}
    for _ in range(240):
        east, west = (up.target.store.repository(f"{name}/hagicode") for name in ("east", "west"))
        if wanted == set(east.tags) == set(west.tags):
            break
        await asyncio.sleep(0.5)
    assert wanted == set(east.tags) == set(west.tags)


async def test_the_site_and_metrics_are_published_at_once(up: Up) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(600):
            metrics = await client.get(up.address("Metrics"))
            if metrics.status_code == 200:
                break
            await asyncio.sleep(0.5)
        assert metrics.text.endswith("# EOF\n")
        assert "HagiCode" in (await client.get(up.address("Site"))).text


async def test_a_mirror_that_is_taken_out_is_no_longer_scheduled(
    up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(up.folder / "mirrors.yaml")
    fewer = settings.model_copy(update={"mirrors": {"east": settings.mirrors["east"]}})
    api = f"{up.address('Prefect')}/api"
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", up.login)
    done = await deploy(api, planned(fewer), WORK_POOL, up.folder)
    assert set(done.removed) == {"sync/west", "audit/west"}
    left = await up.deployments()
    assert "sync/east" in left and not [name for name in left if name.endswith("/west")]


async def test_a_second_one_on_the_same_data_says_so(up: Up) -> None:
    code, said = await refused(up.folder, "--ui-port", "0", "--site-port", "0")
    assert code == 1
    assert said.count("\n") == 1 and "another `mirror up` uses" in said


async def test_a_taken_port_is_one_clear_line(up: Up, tmp_path: Path) -> None:
    shutil.copy(up.folder / "mirrors.yaml", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = await refused(tmp_path, "--ui-port", str(port))
    assert code == 1
    assert said.count("\n") == 1 and f"port {port}" in said and "--ui-port" in said


async def test_sigterm_leaves_nothing_behind(up: Up) -> None:
    everything = up.process.children(recursive=True)
    assert everything
    up.process.send_signal(signal.SIGTERM)
    for _ in range(300):
        left = [child for child in everything if child.is_running()]
        if not left and "stopped" in (up.folder / "out").read_text():
            break
        await asyncio.sleep(0.2)
    assert not left
    assert Cluster(up.folder / "data" / "postgres").socket_dir() is None
