"""A round of the watch: which mirrors are due, at one look a source. No Prefect, no database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest

from flows.local.sample_registry.images import single
from mirror.checks.watch import WatchReport, WatchResult, WatchRound, WatchTask, watch_sources
from mirror.config import Settings
from mirror.outcome import KnownTag, Reason, RunOutcome, RunStatus, TagFailure, utcnow
from mirror.sync import open_clients
from tests.checks.memory_recorder import MemoryRecorder
from tests.checks.pairs import known
from tests.checks.settings import settings
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry

OLD, NEW = single("old"), single("new")
TARGET = "127.0.0.1:9/copy"  # nobody listens there: a watch never looks at targets


@pytest.fixture
async def source() -> AsyncIterator[FakeRegistry]:
    """A source that holds 1.0.0."""
    async with FakeRegistry() as registry:
        await push(registry.url, "team/app", "1.0.0", OLD)
        yield registry


def in_sync(*tags: str) -> dict[str, KnownTag]:
    """Tags that are at the target as the source has them."""
    return {tag: known(tag, OLD.digest) for tag in tags}


async def watch(config: Settings, recorder: MemoryRecorder) -> WatchRound:
    return await watch_sources(config, recorder, partial(open_clients, config))


async def test_a_mirror_is_due_until_the_record_has_what_its_source_has(
    source: FakeRegistry,
) -> None:
    config = settings({"m": (f"{source.host}/team/app", f"{TARGET}/app")})
    recorder = MemoryRecorder()
    assert (await watch(config, recorder)).moved == ("m",)
    recorder.known["m"] = in_sync("1.0.0")
    assert (await watch(config, recorder)).moved == ()
    await push(source.url, "team/app", "1.0.0", NEW)
    assert (await watch(config, recorder)).moved == ("m",)
    assert [round_.moved for round_ in recorder.watches] == [("m",), (), ("m",)]
    assert all(round_.looked == ("m",) for round_ in recorder.watches)
    assert recorder.watches[0].started_at <= recorder.watches[0].ended_at


async def test_mirrors_of_one_source_share_a_look_and_each_is_due_by_its_own_rules(
    source: FakeRegistry,
) -> None:
    mirrors = {name: (f"{source.host}/team/app", f"{TARGET}/{name}") for name in ("all", "stable")}
    config = settings(mirrors, tags={"stable": {"exclude": ["nightly"]}})
    recorder = MemoryRecorder({"all": in_sync("1.0.0"), "stable": in_sync("1.0.0")})
    await push(source.url, "team/app", "nightly", NEW)
    tasks: list[WatchTask] = []

    async def step(task: WatchTask) -> WatchResult:
        tasks.append(task)
        return WatchResult(task.source, ("all", "stable"), ("all",), 1)

    real = await watch(config, recorder)
    assert [result.mirrors for result in real.results] == [("all", "stable")]
    assert real.moved == ("all",)
    await watch_sources(config, recorder, partial(open_clients, config), step)
    assert [[mirror.name for mirror in task.mirrors] for task in tasks] == [["all", "stable"]]


async def test_a_mirror_that_knows_less_than_the_others_of_its_source_is_due(
    source: FakeRegistry,
) -> None:
    mirrors = {name: (f"{source.host}/team/app", f"{TARGET}/{name}") for name in ("old", "new")}
    async with FakeHub(source.store) as hub:
        config = settings(mirrors, registries={source.host: {"hub_api": hub.url}})
        recorder = MemoryRecorder({"old": in_sync("1.0.0")})
        found = await watch(config, recorder)
    assert found.moved == ("new",)


async def test_a_tag_that_is_gone_is_due_once_and_its_deletion_is_not(
    source: FakeRegistry,
) -> None:
    config = settings(
        {"m": (f"{source.host}/team/app", f"{TARGET}/app")},
        tags={"m": {"delete_after": "1s", "delete_share": 1.0}},
    )
    gone = in_sync("1.0.0", "0.9.0")
    assert (await watch(config, MemoryRecorder({"m": gone}))).moved == ("m",)
    gone["0.9.0"] = replace(gone["0.9.0"], gone_at=utcnow().replace(year=2020))
    assert (await watch(config, MemoryRecorder({"m": gone}))).moved == ()


async def test_what_a_source_refused_earlier_is_not_provoked_again(source: FakeRegistry) -> None:
    source.faults.add(Rule("tags/list\\?n=1000", Respond(400), times=None))
    config = settings({"m": (f"{source.host}/team/app", f"{TARGET}/app")})
    recorder = MemoryRecorder({"m": in_sync("1.0.0")})

    async def refused() -> int:
        before = len(source.exchanges)
        assert not (await watch(config, recorder)).errors
        return sum("n=1000" in each.line for each in source.exchanges[before:])

    assert await refused() == 1
    recorder.capabilities[source.host, "team/app"] = ({"page_size": 100}, {})
    assert await refused() == 0


async def test_a_source_that_is_away_is_an_error_of_all_its_mirrors_and_hides_no_other(
    source: FakeRegistry,
) -> None:
    mirrors = {name: ("127.0.0.1:1/team/app", f"{TARGET}/{name}") for name in ("a", "b")}
    config = settings({**mirrors, "m": (f"{source.host}/team/app", f"{TARGET}/m")})
    recorder = MemoryRecorder()
    found = await watch(config, recorder)
    assert found.moved == ("m",)
    (error,) = found.errors
    assert (error.tag, error.reason) == (None, Reason.NETWORK)
    assert error.message.startswith("watch: ")
    (row,) = recorder.watches
    assert [(failure.tag, failure.message) for failure in row.failed] == [
        ("a", error.message),
        ("b", error.message),
    ]
    assert sorted(row.looked) == ["a", "b", "m"]
    assert row.requests == found.requests > 0


def report(**parts: object) -> WatchReport:
    values = {
        "looked": ("s", "t"),
        "moved": (),
        "started": (),
        "synced": (),
        "requests": 1,
        "seconds": 0.1,
        "errors": (),
    }
    return WatchReport(**(values | parts))  # type: ignore[arg-type]


def test_a_report_is_well_unless_a_source_or_a_sync_failed() -> None:
    failure = TagFailure(None, Reason.NETWORK, "away")
    assert report().well
    assert report(synced=(RunOutcome("m", "1", RunStatus.SUCCEEDED),)).well
    assert not report(synced=(RunOutcome("m", "1", RunStatus.PARTIAL),)).well
    assert not report(errors=(failure,)).well
    assert not report(errors=(failure,)).failed
    assert report(errors=(failure, failure)).failed
    assert not report(looked=(), errors=()).failed
