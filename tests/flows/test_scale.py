"""Many tags: the number of task runs, and of requests, stays in bounds."""

from __future__ import annotations

import asyncio

from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter

from flows.local.sample_registry.content import Image
from flows.local.sample_registry.images import single
from mirror.outcome import RunStatus
from tests.flows.conftest import Mirrors, Rows
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.push import plain_client, push
from tests.support.fake_registry.registry import FakeRegistry

TAGS = 1000


async def _task_runs(rows: Rows, run_id: str) -> int:
    """How many task runs Prefect counts for a sync."""
    flow_run = rows.one("SELECT flow_run_id FROM sync_run WHERE id::text = :run", run=run_id)
    count = 0
    async with get_client() as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
        before = -1
        while count != before:  # events of task runs reach the server a little later
            await asyncio.sleep(2)
            before = count
            answer = await client.request(
                "POST",
                "/task_runs/count",
                json={
                    "flow_runs": wanted.model_dump(mode="json"),
                    "task_runs": TaskRunFilter().model_dump(mode="json"),
                },
            )
            count = answer.json()
    return count


async def test_a_thousand_tags_cost_one_task_run_each_and_none_when_unchanged(
    mirrors: Mirrors, rows: Rows
) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target, FakeHub(source.store) as hub:
        image = single("scale", sizes=(64,))
        await _push_many(source, image)
        mirrors.registries[source.host] = {"insecure": True, "hub_api": hub.url}
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        first = await mirrors.sync()
        assert first.status is RunStatus.SUCCEEDED
        assert first.tags.copied == TAGS
        assert await _task_runs(rows, first.run_id) <= TAGS + 100
        again = await mirrors.sync()
        assert again.tags.changed == 0
        assert await _task_runs(rows, again.run_id) == 2  # discover and diff
        assert again.requests.target == 0
        assert again.requests.source == 1  # the newest page holds nothing new


async def _push_many(source: FakeRegistry, image: Image) -> None:
    await push(source.url, "team/app", "0.0.0", image)
    async with plain_client() as client:
        for number in range(1, TAGS):
            answer = await client.put(
                f"{source.url}/v2/team/app/manifests/0.0.{number}",
                content=image.root.raw,
                headers={"Content-Type": image.root.media_type},
            )
            answer.raise_for_status()
