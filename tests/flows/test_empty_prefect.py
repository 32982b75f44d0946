"""A Prefect server that was created just now: no work pool, no deployment, no run."""

from __future__ import annotations

import asyncio
import json

from prefect import get_client
from prefect.settings import PREFECT_API_URL

from flows.local.sample_registry.images import single
from flows.orchestration import Reaper
from tests.flows.command import Command
from tests.flows.conftest import Mirrors, Pair
from tests.support.fake_registry.push import push


async def test_commands_work_and_deploy_makes_what_is_missing(
    mirrors: Mirrors, pair: Pair, command: Command
) -> None:
    async with get_client() as client:
        for deployment in await client.read_deployments():
            await client.delete_deployment(deployment.id)
        for pool in await client.read_work_pools():
            await client.delete_work_pool(pool.name)
    await push(pair.source_url, pair.source, "1.0", single("first"))
    async with Reaper(str(PREFECT_API_URL.value()), "mirrors") as reaper:
        assert await reaper.look() == ()
    # The watch looks for the deployment of the sync, which does not exist: it syncs by itself.
    watched, before = await asyncio.gather(
        command.run("watch", "--once", "--json"), command.run("deploy", "--dry-run", "--json")
    )
    assert (watched.code, watched.err) == (0, "")
    (synced,) = json.loads(watched.out)["synced"]
    assert (synced["status"], synced["tags"]["copied"]) == ("succeeded", 1)
    status, deployed = await asyncio.gather(command.run("status"), command.run("deploy", "--json"))
    assert (status.code, status.err) == (0, "")
    assert (before.code, deployed.code) == (0, 0)
    assert json.loads(before.out)["added"] == json.loads(deployed.out)["added"]
    assert "sync/m" in json.loads(deployed.out)["added"]
    async with get_client() as client:
        assert [pool.name for pool in await client.read_work_pools()] == ["mirrors"]
        for deployment in await client.read_deployments():
            await client.delete_deployment(deployment.id)
