"""`mirror deploy`: the deployments at a Prefect server are those of mirrors.yaml."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.actions import (
    DeploymentScheduleUpdate,
    DeploymentUpdate,
    WorkPoolCreate,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from flows.orchestration import Deployed, deploy, planned
from mirror.config import load_settings
from tests.flows.command import Command
from tests.flows.conftest import Mirrors

OVER_ALL = {
    "watch/all-mirrors",
    "probe/all-mirrors",
    "report/all-mirrors",
    "publish/all-mirrors",
    "maintain/record",
}


async def deployed(mirrors: Mirrors, pool: str, *, dry_run: bool = False) -> Deployed:
    settings = load_settings(mirrors.path)
    api_url = PREFECT_API_URL.value()
    assert api_url is not None
    return await deploy(api_url, planned(settings), pool, Path("/srv"), dry_run=dry_run)


@pytest.fixture
async def two(mirrors: Mirrors) -> AsyncIterator[Mirrors]:
    mirrors.add("east", "registry.example.com/team/app", "east.example.com/team/app")
    mirrors.add("west", "registry.example.com/team/app", "west.example.com/team/app")
    yield mirrors
    api_url = PREFECT_API_URL.value()
    assert api_url is not None
    async with get_client() as client:  # the watch of other tests would start them
        for pool in await client.read_work_pools():
            await deploy(api_url, (), pool.name, Path("/srv"))


async def test_deploying_again_changes_nothing(two: Mirrors) -> None:
    names = OVER_ALL | {f"{flow}/{name}" for flow in ("sync", "audit") for name in two.mirrors}
    first = await deployed(two, "again")
    assert set(first.added) == names
    second = await deployed(two, "again")
    assert set(second.unchanged) == names
    assert not second.added and not second.changed and not second.removed


def _form(deployment: DeploymentResponse) -> dict[str, Any]:
    """The JSON Schema of each parameter."""
    schema = deployment.parameter_openapi_schema
    assert schema is not None
    properties: dict[str, Any] = schema["properties"]
    return properties


async def test_the_form_of_a_run_offers_the_mirrors(two: Mirrors) -> None:
    await deployed(two, "forms")
    async with get_client() as client:
        for name, choices in (("sync/east", ["east"]), ("audit/west", ["west"])):
            deployment = await client.read_deployment_by_name(name)
            assert _form(deployment)["mirror"]["enum"] == choices
        probe = await client.read_deployment_by_name("probe/all-mirrors")
        one, several, _ = _form(probe)["mirror"]["anyOf"]
        assert one["enum"] == several["items"]["enum"] == ["east", "west"]
        known = await client.read_deployment_by_name("sync/east")
        with pytest.raises(PrefectHTTPStatusError, match=r"409|422"):
            await client.create_flow_run_from_deployment(known.id, parameters={"mirror": "eats"})


async def test_what_mirrors_yaml_no_longer_has_is_removed(two: Mirrors) -> None:
    await deployed(two, "removed")
    del two.mirrors["west"]
    two.mirrors["east"]["every"] = "45m"
    two.write()
    for dry_run in (True, False):
        done = await deployed(two, "removed", dry_run=dry_run)
        assert set(done.removed) == {"sync/west", "audit/west"}
        assert done.changed == {"sync/east": ("schedule",), "probe/all-mirrors": ("form",)}
    left = await deployed(two, "removed")
    assert not left.removed and not left.changed


async def test_deployments_of_others_in_the_pool_stay(two: Mirrors) -> None:
    await deployed(two, "shared")
    async with get_client() as client:
        flow = await client.create_flow_from_name("somebody-elses")
        theirs = await client.create_deployment(
            flow, "theirs", entrypoint="work.py:theirs", work_pool_name="shared"
        )
        assert not (await deployed(two, "shared")).removed
        assert (await client.read_deployment(theirs)).name == "theirs"


async def test_the_limit_of_an_earlier_version_is_lifted(two: Mirrors) -> None:
    await deployed(two, "limited")
    async with get_client() as client:
        known = await client.read_deployment_by_name("maintain/record")
        await client.update_deployment(known.id, DeploymentUpdate(concurrency_limit=1))
        assert (await deployed(two, "limited")).changed["maintain/record"] == ("concurrency limit",)
        known = await client.read_deployment_by_name("maintain/record")
        assert known.global_concurrency_limit is None


async def test_what_prefect_deployed_to_another_pool_is_taken_over(two: Mirrors) -> None:
    await deployed(two, "before")
    async with get_client() as client:
        known = await client.read_deployment_by_name("sync/east")
        (schedule,) = known.schedules
        named = DeploymentScheduleUpdate(schedule=schedule.schedule, slug="every")
        await client.update_deployment(known.id, DeploymentUpdate(schedules=[named]))
        await deployed(two, "after")
        assert (await client.read_deployment(known.id)).work_pool_name == "after"


async def test_a_schedule_that_a_person_paused_stays_paused(two: Mirrors) -> None:
    await deployed(two, "paused")
    async with get_client() as client:
        known = await client.read_deployment_by_name("sync/east")
        (schedule,) = known.schedules
        await client.update_deployment_schedule(known.id, schedule.id, active=False)
        assert (await deployed(two, "paused")).changed == {}
        known = await client.read_deployment_by_name("sync/east")
        assert [each.active for each in known.schedules] == [False]


async def test_the_command_shows_the_difference_and_makes_it(
    two: Mirrors, command: Command
) -> None:
    options = ("deploy", "--work-pool", "by-command")
    shown = await command.run(*options, "--dry-run")
    assert shown.code == 0, shown.err
    assert "+ sync/east" in shown.out and "0 unchanged (dry run)" in shown.out
    assert (await command.run(*options)).out == shown.out.replace(" (dry run)", "")
    assert not (await deployed(two, "by-command", dry_run=True)).added


async def test_prefect_deploy_makes_the_same_of_the_written_file(
    two: Mirrors, command: Command
) -> None:
    options = ("deploy", "--work-pool", "by-file")
    assert (await command.run(*options, "--write", "prefect.yaml")).code == 0
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name="by-file", type="process"))
    prefect = Path(sys.executable).with_name("prefect")
    made = await asyncio.create_subprocess_exec(
        *(prefect, "--no-prompt", "deploy", "--all"),
        cwd=command.folder,
        env={**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())},
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    shown = await command.run(*options, "--dry-run")
    *changes, counts = shown.out.splitlines()
    # Prefect's file cannot say which mirrors the form of a run offers.
    assert changes and all(line.endswith(": form") for line in changes), shown.out
    assert counts == "0 new, 5 changed, 0 removed, 4 unchanged (dry run)"


async def test_without_a_server_the_command_says_what_to_set(
    two: Mirrors, command: Command
) -> None:
    done = await command.run("deploy", PREFECT_API_URL="")
    assert done.code == 2
    assert "PREFECT_API_URL is not set" in done.err
