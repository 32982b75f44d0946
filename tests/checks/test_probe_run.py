"""Rounds of a probe over sources: what is pulled, recorded and counted. No Prefect, no database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from mirror.checks.probe_report import ProbeReport
from mirror.checks.probe_round import ProbePlan, ProbeRound, ProbeTask
from mirror.checks.probe_run import run_probe
from mirror.config import Settings
from mirror.outcome import KnownTag
from tests.checks.memory_recorder import MemoryRecorder
from tests.checks.pairs import known
from tests.checks.settings import settings
from tests.support.fake_registry.faults import Headers, Respond, Rule
from tests.support.fake_registry.hub import FakeHub, HubBehaviour
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry

IMAGE = multi_platform("probed", sizes=(4_000, 9_000))
SOURCE, COPY = "team/app", "copy/app"


@dataclass
class Registries:
    """A source and two mirrors of it, `one` and `two`, which hold 1.0.0."""

    source: FakeRegistry
    one: FakeRegistry
    two: FakeRegistry

    def settings(self, **source: str) -> Settings:
        """Settings of both mirrors; `source`: further settings of that registry."""
        return settings(
            {
                "one": (f"{self.source.host}/{SOURCE}", f"{self.one.host}/{COPY}"),
                "two": (f"{self.source.host}/{SOURCE}", f"{self.two.host}/{COPY}"),
            },
            registries={self.source.host: dict(source)},
        )


@pytest.fixture
async def registries() -> AsyncIterator[Registries]:
    async with FakeRegistry() as source, FakeRegistry() as one, FakeRegistry() as two:
        await push(source.url, SOURCE, "1.0.0", IMAGE)
        await push(one.url, COPY, "1.0.0", IMAGE)
        await push(two.url, COPY, "1.0.0", IMAGE)
        yield Registries(source, one, two)


def in_sync(tag: str = "1.0.0") -> dict[str, KnownTag]:
    return {tag: known(tag, IMAGE.digest)}


async def probe(config: Settings, recorder: MemoryRecorder) -> tuple[ProbeReport, ...]:
    plan = ProbePlan(place="cn-hangzhou")
    return await run_probe(config, list(config.mirrors.values()), recorder, plan)


async def test_a_source_is_pulled_once_for_all_its_mirrors_and_all_is_recorded(
    registries: Registries,
) -> None:
    recorder = MemoryRecorder({"one": in_sync(), "two": in_sync()})
    registries.source.exchanges.clear()
    reports = await probe(registries.settings(), recorder)
    lines = [exchange.line for exchange in registries.source.exchanges]
    assert len([line for line in lines if re.match("GET .*/manifests/", line)]) == 2
    assert [(report.mirror, report.tag, report.well) for report in reports] == [
        ("one", "1.0.0", True),
        ("two", "1.0.0", True),
    ]
    assert reports[0].source == reports[1].source
    assert [(row.mirror, row.side, row.place) for row in recorder.probes] == [
        ("one", "source", "cn-hangzhou"),
        ("one", "target", "cn-hangzhou"),
        ("two", "source", "cn-hangzhou"),
        ("two", "target", "cn-hangzhou"),
    ]
    assert len({(row.probed_at, row.digest) for row in recorder.probes}) == 1


async def test_mirrors_that_are_in_sync_with_different_tags_get_a_round_each() -> None:
    config = settings({name: ("127.0.0.1:1/a/b", f"127.0.0.1:1/{name}") for name in "abc"})
    recorder = MemoryRecorder({"a": in_sync("1"), "b": in_sync("2"), "c": in_sync("1")})
    tasks: list[tuple[str, list[str]]] = []

    async def step(task: ProbeTask) -> ProbeRound:
        tasks.append((task.tag, [mirror.name for mirror in task.mirrors]))
        return ProbeRound((), None)

    mirrors = [*config.mirrors.values(), config.mirror("a")]
    await run_probe(config, mirrors, recorder, ProbePlan(), step=step)
    assert tasks == [("1", ["a", "c"]), ("2", ["b"])]
    tasks.clear()
    await run_probe(config, mirrors, recorder, ProbePlan(), tag="3", step=step)
    assert tasks == [("3", ["a", "b", "c"])]


async def test_a_mirror_without_a_tag_in_sync_is_reported_and_not_pulled(
    registries: Registries,
) -> None:
    recorder = MemoryRecorder({"two": in_sync()})
    one, two = await probe(registries.settings(), recorder)
    assert (one.tag, one.source, one.target, one.well) == (None, None, None, True)
    assert "sync first" in one.warnings[0]
    assert two.target is not None
    assert {row.mirror for row in recorder.probes} == {"two"}


async def test_a_low_quota_is_recorded_and_the_source_is_not_pulled(
    registries: Registries,
) -> None:
    headers = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "19;w=21600"}
    registries.source.faults.add(Rule("HEAD .*/manifests/", Headers(headers), times=None))
    recorder = MemoryRecorder({"one": in_sync(), "two": in_sync()})
    reports = await probe(registries.settings(), recorder)
    assert [(quota.remaining, quota.limit) for quota in recorder.quotas] == [(19, 100)]
    assert all(report.source is None and report.target is not None for report in reports)
    assert all("19 of 100 pulls left" in report.warnings[0] for report in reports)
    assert {row.side for row in recorder.probes} == {"target"}


async def test_a_failed_pull_is_recorded_with_its_reason(registries: Registries) -> None:
    registries.two.faults.add(Rule("GET .*/blobs/", Respond(503), times=None))
    recorder = MemoryRecorder({"one": in_sync(), "two": in_sync()})
    one, two = await probe(registries.settings(), recorder)
    assert (one.well, two.well, two.gain) == (True, False, None)
    failed = [row for row in recorder.probes if not row.well]
    assert [(row.mirror, row.side, row.reason) for row in failed] == [
        ("two", "target", "server_error")
    ]


async def test_pulls_are_counted_where_the_registry_reports_them(registries: Registries) -> None:
    async with FakeHub(registries.source.store, HubBehaviour(pull_counts={SOURCE: 4_000})) as hub:
        recorder = MemoryRecorder({"one": in_sync(), "two": in_sync()})
        reports = await probe(registries.settings(hub_api=hub.url), recorder)
    assert list(recorder.pull_counts) == [f"{registries.source.host}/{SOURCE}"]
    assert recorder.pull_counts[f"{registries.source.host}/{SOURCE}"] >= 4_000
    assert all(report.warnings == () for report in reports)


async def test_a_count_that_is_unknown_is_a_warning_of_each_mirror(registries: Registries) -> None:
    async with FakeHub(registries.source.store) as hub:
        gone = hub.url
    recorder = MemoryRecorder({"one": in_sync(), "two": in_sync()})
    reports = await probe(registries.settings(hub_api=gone), recorder)
    assert recorder.pull_counts == {}
    assert [len(report.warnings) for report in reports] == [1, 1]
