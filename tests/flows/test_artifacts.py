"""No artifact decides how a run ends: Prefect's server fails them or never answers."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from prefect import get_client
from prefect.client.base import PrefectHttpxAsyncClient

from flows.local.sample_registry.releases import release
from flows.orchestration import artifacts
from flows.probe import probe
from flows.report import report
from flows.sync import sync
from mirror.outcome import RunStatus
from tests.flows.conftest import Mirrors, Pair
from tests.support.fake_registry.push import push


@pytest.fixture(params=["fails", "hangs"])
def asked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests about artifacts to a server that takes none of them."""
    requests: list[str] = []
    send = PrefectHttpxAsyncClient.send

    async def refuse(client: Any, sent: httpx.Request, *values: Any, **options: Any) -> Any:
        if "/artifacts/" not in sent.url.path:
            return await send(client, sent, *values, **options)
        requests.append(f"{sent.method} {sent.url.path}")
        if request.param == "hangs":
            await asyncio.Event().wait()
        return httpx.Response(500, request=sent, text="Internal Server Error").raise_for_status()

    monkeypatch.setattr(PrefectHttpxAsyncClient, "send", refuse)
    monkeypatch.setattr(artifacts, "_PATIENCE", 0.5)
    monkeypatch.setattr(artifacts, "_FIRST_PROGRESS", 0.0)
    monkeypatch.setattr(artifacts, "_PROGRESS_SECONDS", 0.01)
    return requests


async def test_a_sync_succeeds_without_its_artifacts(
    asked: list[str], mirrors: Mirrors, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    made = release("1.0.0")
    await push(pair.source_url, pair.source, made.version, made.image)
    outcome = await mirrors.sync()
    assert outcome.status is RunStatus.SUCCEEDED, outcome.errors
    assert asked
    assert "did not take an artifact" in caplog.text


async def test_a_report_and_a_probe_end_well_without_theirs(
    asked: list[str], mirrors: Mirrors, pair: Pair
) -> None:
    made = release("1.0.0")
    await push(pair.source_url, pair.source, made.version, made.image)
    await mirrors.sync()
    for flow in (report, probe):
        before = len(asked)
        state: Any = await flow(return_state=True)
        assert state.is_completed(), state
        assert len(asked) > before


async def _name_of_a_run() -> str:
    state: Any = await sync.with_options(retries=0)(mirror="m", full=False, return_state=True)
    async with get_client() as client:
        return (await client.read_flow_run(state.state_details.flow_run_id)).name


async def test_the_name_of_a_run_says_what_it_did(pair: Pair) -> None:
    for version in ("1.0.0", "1.1.0"):
        made = release(version)
        await push(pair.source_url, pair.source, made.version, made.image)
    assert re.fullmatch(r"sync m \d\d-\d\d \d\d:\d\d:\d\d: 2 copied", await _name_of_a_run())
    assert re.fullmatch(r"sync m \d\d-\d\d \d\d:\d\d:\d\d", await _name_of_a_run())
