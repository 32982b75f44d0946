"""The commands of docker-compose.yml, run in its order, until a scheduled run really fires.

This is what sees it when an upgrade stops Prefect's scheduler without a word (SQLAlchemy 2.1 did:
the server ran, deployments were registered, and no scheduled run was ever made).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from prefect.client.base import PrefectHttpxAsyncClient

from flows.local.sample_registry.releases import release
from tests.deploy.composed import ROOT, Composed, composed, free_port, in_order, start
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry

EVERY = "20s"  # instead of the half hour and the hour of mirrors.yaml
SOURCE = "newbe36524/hagicode"
LOGIN = "mirror:nothing-but-a-test-asks-for-it"


@pytest.fixture(scope="module")
async def source() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as registry:
        for version in ("0.1.0-beta.77", "0.1.0-beta.78"):
            made = release(version)
            await push(registry.url, SOURCE, made.tags, made.image)
        yield registry


@pytest.fixture(scope="module")
async def target() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as registry:
        yield registry


@pytest.fixture(scope="module")
async def project(
    tmp_path_factory: pytest.TempPathFactory, source: FakeRegistry, target: FakeRegistry
) -> AsyncIterator[Composed]:
    folder = tmp_path_factory.mktemp("app")
    async with FakeHub(source.store) as hub:
        config = mirrors_yaml(source, target, hub)
        (folder / "mirrors.yaml").write_text(yaml.safe_dump(config))
        async with composed(folder, environment(folder)) as running:
            yield running


def mirrors_yaml(source: FakeRegistry, target: FakeRegistry, hub: FakeHub) -> dict[str, Any]:
    """The mirrors of mirrors.yaml on registries here; Azure's cannot be reached."""
    mirrors = yaml.safe_load((ROOT / "mirrors.yaml").read_text())["mirrors"]
    nowhere = f"127.0.0.1:{free_port()}"
    for name, mirror in mirrors.items():
        mirror["every"] = EVERY
        mirror["source"] = f"{source.host}/{SOURCE}"
        mirror["target"] = f"{nowhere if 'azure' in name else target.host}/mirror/{name}"
    return {
        "registries": {
            source.host: {"insecure": True, "hub_api": hub.url},
            target.host: {"insecure": True},
            nowhere: {"insecure": True},
        },
        "mirrors": mirrors,
    }


def environment(folder: Path) -> dict[str, str]:
    """What .env and the image give; Prefect only looks more often than it would."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "POSTGRES_PASSWORD": "letmein",  # nothing but a test listens to it
        "MIRROR_WRITER_PASSWORD": "letmewrite",
        "MIRROR_READER_PASSWORD": "letmeread",
        "PREFECT_DATABASE_PASSWORD": "letmeschedule",
        "PREFECT_API_AUTH_STRING": LOGIN,
        "MIRROR_DATA_DIR": str(folder / "data"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
    }


def prefect(project: Composed) -> httpx.AsyncClient:
    """A client of Prefect's API with the login."""
    return PrefectHttpxAsyncClient(
        base_url=f"{project.url('4200')}/api",
        auth=httpx.BasicAuth(*LOGIN.split(":")),
        enable_csrf_support=True,
    )


async def flow_runs(project: Composed, deployment: str, *states: str) -> list[dict[str, Any]]:
    """Runs of a deployment in one of these states, as Prefect's API reports."""
    asked = {
        "deployments": {"name": {"any_": [deployment]}},
        "flow_runs": {"state": {"name": {"any_": list(states)}}},
        "sort": "EXPECTED_START_TIME_ASC",
    }
    async with prefect(project) as client:
        answer = await client.post("/flow_runs/filter", json=asked)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found


async def task_runs(project: Composed, flow_run: str) -> dict[str, str]:
    """State type by task run name, as Prefect's API reports."""
    asked = {"flow_runs": {"id": {"any_": [flow_run]}}}
    async with prefect(project) as client:
        answer = await client.post("/task_runs/filter", json=asked)
        answer.raise_for_status()
        return {task["name"]: task["state_type"] for task in answer.json()}


async def eventually(
    project: Composed, deployment: str, *states: str, seconds: float = 120
) -> dict[str, Any]:
    """The first run of a deployment that reaches one of the states."""
    for _ in range(int(seconds / 0.5)):
        if found := await flow_runs(project, deployment, *states):
            return found[0]
        await asyncio.sleep(0.5)
    raise TimeoutError(f"no run of {deployment} became {' or '.join(states)} in {seconds:.0f} s")


async def ask(project: Composed, query: str, *values: str) -> list[tuple[Any, ...]]:
    where = f"host=127.0.0.1 port={project.ports['5432']} user=mirror dbname=mirror"

    def fetch() -> list[tuple[Any, ...]]:
        with psycopg.connect(where) as connection:
            return connection.execute(query.encode(), values).fetchall()

    return await asyncio.to_thread(fetch)


async def test_every_service_starts_after_what_it_depends_on(project: Composed) -> None:
    assert project.order == in_order(project.services)
    for name, service in project.services.items():
        for other in service.get("depends_on", {}):
            assert project.order.index(other) < project.order.index(name)


async def test_prefects_api_asks_for_the_login(project: Composed) -> None:
    async with httpx.AsyncClient(base_url=f"{project.url('4200')}/api") as client:
        assert (await client.get("/admin/version")).status_code == 401
    async with prefect(project) as client:
        assert (await client.get("/admin/version")).status_code == 200


async def test_every_step_ends_well(project: Composed) -> None:
    assert project.exits == dict.fromkeys(("prefect-database", "migrate", "deploy", "publish"), 0)


async def test_steps_may_run_again(project: Composed) -> None:
    # `docker compose up` runs them at every start, on a database that is there already.
    for name in ("prefect-database", "migrate", "deploy"):
        await start(project, name)
        assert project.exits[name] == 0, name


async def test_a_scheduled_run_fires_and_its_tasks_have_their_names(project: Composed) -> None:
    run = await eventually(project, "hagicode-aliyun", "Completed")
    assert run["auto_scheduled"] is True
    assert run["parameters"] == {"mirror": "hagicode-aliyun", "full": True}
    tags = {"0.1.0-beta.77", "0.1.0-beta.78", "0.1.0", "0.1", "0", "latest"}
    copies = {f"copy {tag}" for tag in tags}
    # The watch may have copied everything before: then there is nothing to verify either.
    # Prefect's server learns of task runs by events, a moment after the run has ended.
    for _ in range(60):
        states = await task_runs(project, run["id"])
        steps = {name.partition(" ")[0] for name in states}
        if set(states.values()) == {"COMPLETED"} and steps >= {"discover", "diff"}:
            break
        await asyncio.sleep(0.5)
    assert set(states.values()) == {"COMPLETED"}
    others = states.keys() - copies
    assert {"discover", "diff"} <= {name.partition(" ")[0] for name in others}
    assert all(re.fullmatch(r"(discover|diff|verify) [\w.:-]+(/[\w.-]+)+", name) for name in others)


async def test_the_record_has_that_run(project: Composed, target: FakeRegistry) -> None:
    run = await eventually(project, "hagicode-aliyun", "Completed")
    rows = await ask(
        project,
        "SELECT status, trigger, complete FROM sync_run WHERE flow_run_id::text = %s",
        run["id"],
    )
    assert rows == [("succeeded", "schedule", True)]
    assert "latest" in target.store.repository("mirror/hagicode-aliyun").tags


async def test_a_failed_run_is_failed_for_prefect_and_in_the_record(project: Composed) -> None:
    # Failed until it is tried again: three times, five minutes apart.
    run = await eventually(project, "hagicode-azure", "Failed", "AwaitingRetry")
    rows = await ask(
        project,
        "SELECT status, reason, message FROM sync_run WHERE flow_run_id::text = %s",
        run["id"],
    )
    ((status, reason, message),) = rows
    assert (status, reason) == ("failed", "network")
    assert "mirror/hagicode-azure" in message


async def test_the_site_and_the_worker_answer(project: Composed) -> None:
    async with httpx.AsyncClient() as client:
        site = await client.get(project.url("8080"))
        assert site.status_code == 200 and "HagiCode" in site.text
        metrics = await client.get(f"{project.url('8080')}/metrics")
        assert metrics.status_code == 200 and metrics.text.endswith("# EOF\n")
        assert (await client.get(f"{project.url('8081')}/health")).status_code == 200
        assert (await client.get(f"{project.url('4200')}/")).status_code == 200
