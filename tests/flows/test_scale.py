"""Many tags: the number of task runs, and of requests, stays in bounds."""

from __future__ import annotations

import asyncio

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
)

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


async def test_a_thousand_tags_cost_a_few_dozen_task_runs_and_two_when_unchanged(
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
        assert (
            await _task_runs(rows, first.run_id) <= 3 + 32
        )  # discover, diff, verify; copies in batches
        again = await mirrors.sync()
        assert again.tags.changed == 0
        assert await _task_runs(rows, again.run_id) == 2  # discover and diff
        assert again.requests.target == 0
        assert again.requests.source == 1  # the newest page holds nothing new


async def test_a_batch_is_named_by_its_tags_and_its_log_has_a_line_for_each(
    mirrors: Mirrors, rows: Rows
) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await _push_many(source, single("scale", sizes=(64,)), 40)
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        run = await mirrors.sync()
        assert run.tags.copied == 40
    flow_run = rows.one("SELECT flow_run_id FROM sync_run WHERE id::text = :run", run=run.run_id)
    async with get_client() as client, asyncio.timeout(60):
        logs: set[str] = set()
        while len(logs) < 40:  # a thread sends them
            found = await client.read_logs(
                LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run]))
            )
            logs = {log.message for log in found if " copied: " in log.message}
            await asyncio.sleep(0.2)
        assert {line.split()[0] for line in logs} == {f"0.0.{number}" for number in range(40)}
        copies: set[str] = set()
        while len(copies) < 20:  # events of task runs reach the server a little later
            runs = await client.read_task_runs(
                flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
            )
            copies = {run.name for run in runs if run.name.startswith("copy")}
            await asyncio.sleep(0.2)
    assert "copy 0.0.0 to 0.0.1" in copies
    assert len(copies) == 20
    assert all(log.task_run_id for log in found if " copied: " in log.message)


async def _push_many(source: FakeRegistry, image: Image, count: int = TAGS) -> None:
    await push(source.url, "team/app", "0.0.0", image)
    async with plain_client() as client:
        for number in range(1, count):
            answer = await client.put(
                f"{source.url}/v2/team/app/manifests/0.0.{number}",
                content=image.root.raw,
                headers={"Content-Type": image.root.media_type},
            )
            answer.raise_for_status()
