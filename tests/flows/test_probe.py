"""Pulls of a probe are recorded so that only comparable ones are compared."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flows.probe import probe
from mirror.checks.probe_report import ProbeReport
from tests.flows.conftest import Mirrors, Pair, Rows
from tests.support.fake_registry.faults import Headers, Respond, Rule
from tests.support.fake_registry.hub import FakeHub, HubBehaviour
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry

IMAGE = multi_platform("probed", sizes=(40_000, 90_000))


async def probed(mirror: str | list[str] | None = "m", **options: Any) -> tuple[ProbeReport, ...]:
    state: Any = await probe(mirror=mirror, return_state=True, **options)
    reports: tuple[ProbeReport, ...] = await state.aresult()
    return reports


async def test_both_sides_are_pulled_in_one_round_and_compared(
    mirrors: Mirrors, pair: Pair, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_PLACE", "cn-hangzhou")
    await push(pair.source_url, pair.source, ["0.1.0", "latest"], IMAGE)
    await mirrors.sync()
    (report,) = await probed()
    assert (report.tag, report.well) == ("latest", True)
    assert report.gain is not None
    found = rows.all("SELECT side, bytes, place, digest, probed_at FROM probe ORDER BY side")
    assert [row["side"] for row in found] == ["source", "target"]
    assert {row["place"] for row in found} == {"cn-hangzhou"}
    assert len({(row["probed_at"], row["digest"], row["bytes"]) for row in found}) == 1
    assert rows.one("SELECT pairs FROM report_pull_speed") == 1


async def test_mirrors_of_one_source_share_its_pull(mirrors: Mirrors, rows: Rows) -> None:
    async with FakeRegistry() as source, FakeRegistry() as one, FakeRegistry() as two:
        await push(source.url, "team/app", "latest", IMAGE)
        mirrors.add("m", f"{source.host}/team/app", f"{one.host}/copy/app")
        mirrors.add("n", f"{source.host}/team/app", f"{two.host}/copy/app")
        await mirrors.sync("m")
        await mirrors.sync("n")
        source.exchanges.clear()
        reports = await probed(None)
        pulls = [e.line for e in source.exchanges if re.match("GET .*/manifests/", e.line)]
    assert [report.mirror for report in reports] == ["m", "n"]
    assert len({report.probed_at for report in reports}) == 1
    assert len(pulls) == 2  # the index and the platform's manifest, once for both
    assert rows.one("SELECT count(*) FROM probe") == 4


async def test_a_quota_that_runs_low_is_left_to_the_syncs(mirrors: Mirrors, rows: Rows) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await push(source.url, "team/app", "latest", IMAGE)
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        await mirrors.sync()
        headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "19;w=21600"}
        source.faults.add(Rule("HEAD .*/manifests/", Headers(headers), times=None))
        (report,) = await probed()
    assert report.source is None
    assert report.target is not None
    assert report.target.well
    assert "19 of 100 pulls" in report.warnings[0]
    assert rows.all("SELECT side FROM probe") == [{"side": "target"}]
    assert rows.one("SELECT remaining FROM quota_reading ORDER BY read_at DESC LIMIT 1") == 19


async def test_a_pull_that_fails_is_measured_with_its_reason(mirrors: Mirrors, rows: Rows) -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        await push(source.url, "team/app", "latest", IMAGE)
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        await mirrors.sync()
        target.faults.add(Rule("GET .*/blobs/", Respond(503), times=None))
        (report,) = await probed()
    assert not report.well
    assert report.gain is None
    assert rows.one("SELECT reason FROM probe WHERE side = 'target'") == "server_error"
    assert rows.one("SELECT failed FROM report_pull_failures") == 1


async def test_pulls_are_counted_where_the_source_has_them(mirrors: Mirrors, rows: Rows) -> None:
    hub = HubBehaviour(pull_counts={"team/app": 4_000})
    async with (
        FakeRegistry() as source,
        FakeHub(source.store, hub) as web,
        FakeRegistry() as target,
    ):
        await push(source.url, "team/app", "latest", IMAGE)
        mirrors.registries[source.host] = {"insecure": True, "hub_api": web.url}
        mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
        await mirrors.sync()
        await probed()
    (counted,) = rows.all(
        "SELECT registry, name, pulls FROM pull_count JOIN repository ON id = repository_id"
    )
    assert (counted["registry"], counted["name"]) == (source.host, "team/app")
    assert counted["pulls"] >= 4_000


async def test_a_mirror_that_was_never_synced_has_nothing_to_pull(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    await push(pair.source_url, pair.source, "latest", IMAGE)
    (report,) = await probed()
    assert (report.tag, report.source, report.target) == (None, None, None)
    assert "sync first" in report.warnings[0]
    assert rows.one("SELECT count(*) FROM probe") == 0


async def test_a_tag_may_be_named(mirrors: Mirrors, pair: Pair, rows: Rows) -> None:
    await push(pair.source_url, pair.source, ["0.1.0", "latest"], IMAGE)
    await mirrors.sync()
    (report,) = await probed(tag="0.1.0", platform="linux/arm64")
    assert report.tag == "0.1.0"
    assert {row["tag"] for row in rows.all("SELECT tag FROM probe")} == {"0.1.0"}
