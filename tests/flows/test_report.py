"""The flow `report`: figures as artifacts, alerts sent, and a dead channel is a warning."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prefect.artifacts import Artifact

from flows.report import report
from mirror.history import PostgresRecorder
from mirror.outcome import Quota, utcnow
from tests.alerts.robots import SECRET, TOKEN, Robots, serve_robots
from tests.flows.conftest import Mirrors, Pair, Rows
from tests.support.fake_registry.push import push
from tests.support.fake_registry.releases import past_releases


@pytest.fixture
async def robots(monkeypatch: pytest.MonkeyPatch, mirrors: Mirrors) -> AsyncIterator[Robots]:
    """DingTalk on loopback, as the only channel of mirrors.yaml."""
    monkeypatch.setenv("DINGTALK_TOKEN", TOKEN)
    monkeypatch.setenv("DINGTALK_SECRET", SECRET)
    async with serve_robots(Robots()) as served:
        options = {"token_env": "DINGTALK_TOKEN", "secret_env": "DINGTALK_SECRET"}
        mirrors.more = {"alerts": [{"dingtalk": {**options, "url": served.url}}]}
        yield served


@pytest.fixture
async def low_quota(mirrors: Mirrors, pair: Pair, robots: Robots, url: str) -> None:
    """A mirror with one release, and a source that leaves 3 of 100 pulls."""
    (item,) = past_releases(1)
    await push(pair.source_url, pair.source, item.tags, item.image)
    mirrors.write()
    assert (await mirrors.sync()).errors == ()
    source = mirrors.mirrors["m"]["source"].partition("/")[0]
    async with PostgresRecorder.open(url) as record:
        await record.add_quota(Quota(source, None, 100, 3, 6 * 3600, utcnow()))


async def read(key: str) -> Any:
    """The newest artifact of that key: Markdown as it is, a table as rows."""
    artifact = await Artifact.aget(key)
    assert artifact is not None
    data = artifact.data
    return json.loads(data) if isinstance(data, str) and data.startswith("[") else data


async def run_report() -> Any:
    """The flow's last state."""
    return await report(return_state=True)


async def test_a_report_writes_artifacts_and_sends_alerts(low_quota: None, robots: Robots) -> None:
    state = await run_report()
    assert state.is_completed(), state.message
    assert state.message == "1 mirrors, 1 open alerts (1 new, 0 closed), 1 messages sent"
    [text] = robots.texts("dingtalk")
    assert "3 of 100 pulls left" in text
    page = await read("report")
    assert "| m | 5 | 5 | 0 | 0 | none | succeeded" in page
    assert "pulls left" in page
    goals = {row["goal"]: row for row in await read("report-goals")}
    assert goals["tags that arrive"]["measured"] == "100.00%"
    assert goals["tags that arrive"]["samples"] == 5
    assert goals["tags that arrive"]["met"] == "yes"
    assert goals["pulls that fail"]["measured"] == goals["pulls that fail"]["met"] == "unknown"
    [alert] = await read("report-alerts")
    assert (alert["severity"], alert["rule"]) == ("warning", "quota_low")


async def test_a_dead_channel_is_reported_and_fails_nothing(
    low_quota: None, robots: Robots, rows: Rows
) -> None:
    robots.away = True
    state = await run_report()
    assert state.is_completed(), state.message
    assert "0 messages sent" in state.message
    assert "HTTP 502" in await read("report")
    assert rows.one("SELECT count(*) FROM alert_delivery WHERE sent_at IS NULL") == 1


async def test_a_span_that_is_none_is_an_error_of_the_run(mirrors: Mirrors) -> None:
    state: Any = await report("soon", return_state=True)
    assert state.is_failed()
    assert "'soon' is not a duration" in state.message
