"""What Prefect's log shows of a run that failed."""

from __future__ import annotations

import asyncio

from prefect import get_client
from prefect.client.schemas.sorting import LogSort
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from flows.local.sample_registry.images import single
from mirror.outcome import RunStatus
from tests.flows.conftest import Mirrors
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry


async def test_a_failure_is_not_followed_by_a_traceback_of_none(
    mirrors: Mirrors, fake_registry: FakeRegistry
) -> None:
    await push(fake_registry.url, "team/app", "1.0", single("broken"))
    mirrors.add("m", f"{fake_registry.host}/team/app", f"{fake_registry.host}/copy/app")
    fake_registry.faults.add(Rule("PUT /v2/copy/app/manifests/", Respond(400), times=None))
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: True}):
        outcome = await mirrors.sync()
        await APILogHandler.aflush()
    assert outcome.status is RunStatus.FAILED
    messages: list[str] = []
    async with get_client() as client, asyncio.timeout(90):
        while not any("Task run failed with state" in message for message in messages):
            logs = await client.read_logs(limit=200, sort=LogSort.TIMESTAMP_DESC)
            messages = [log.message for log in logs]
    assert not any("NoneType" in message for message in messages)
