"""One entry for many repositories, from its list to the last tag."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flows.local.sample_registry.images import single
from flows.orchestration.states import outcome_of
from flows.sync_entry import sync_entry
from flows.watch import watch
from mirror.checks import WatchReport
from mirror.outcome import RunStatus
from tests.flows.command import Command
from tests.flows.conftest import Mirrors, Rows
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.snapshot import snapshot


@pytest.fixture
async def source(mirrors: Mirrors) -> AsyncIterator[FakeRegistry]:
    """A source of three repositories, two of which the entry mirrors."""
    async with FakeRegistry() as registry:
        for name in ("team/a", "team/b", "team/tmp-c"):
            await push(registry.url, name, ["1.0.0", "latest"], single(name))
        yield registry


@pytest.fixture
async def target(mirrors: Mirrors, source: FakeRegistry) -> AsyncIterator[FakeRegistry]:
    """The target of the entry `all`."""
    async with FakeRegistry() as registry:
        mirrors.add(
            "all",
            f"{source.host}/team/*",
            f"{registry.host}/copy/team_*",
            repositories={"exclude": ["tmp-*"]},
        )
        yield registry


async def entry_run(**parameters: Any) -> Any:
    return await sync_entry(entry="all", return_state=True, **parameters)


async def test_each_repository_is_a_mirror_of_its_own(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry, rows: Rows
) -> None:
    state = await entry_run()
    outcomes: Any = await outcome_of(state)
    assert [(one.mirror, one.status) for one in outcomes] == [
        ("all/a", RunStatus.SUCCEEDED),
        ("all/b", RunStatus.SUCCEEDED),
    ]
    assert sorted(target.store.repositories) == ["copy/team_a", "copy/team_b"]
    copied = await snapshot(target.url, "copy/team_a")
    assert copied.tags == (await snapshot(source.url, "team/a")).tags
    assert rows.one("SELECT count(*) FROM sync_run WHERE status = 'succeeded'") == 2


async def test_a_new_repository_is_mirrored_at_the_next_look(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry
) -> None:
    await entry_run()
    await push(source.url, "team/new", ["1"], single("new"))
    report: Any = await outcome_of(await watch(return_state=True))
    assert isinstance(report, WatchReport)
    assert report.moved == ("all/new",)
    assert "copy/team_new" in target.store.repositories


async def test_a_repository_that_vanished_is_mirrored_until_two_days_lacked_it(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry, rows: Rows
) -> None:
    await entry_run()
    del source.store.repositories["team/b"]
    state = await entry_run()
    assert state.name == "Partial"
    assert "copy/team_b" in target.store.repositories
    assert rows.one("SELECT count(*) FROM entry_repository WHERE gone_at IS NOT NULL") == 0
    accepted = await entry_run(accept_loss=True)
    assert accepted.name == "Completed"
    assert rows.one("SELECT name FROM entry_repository WHERE gone_at IS NOT NULL") == "b"
    assert "copy/team_b" in target.store.repositories


async def test_with_the_web_api_an_unchanged_look_costs_one_request_a_page(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry
) -> None:
    async with FakeHub(source.store) as hub:
        mirrors.registries[source.host] = {"insecure": True, "hub_api": hub.url}
        mirrors.write()
        first: Any = await outcome_of(await watch(return_state=True))
        assert set(first.moved) == {"all/a", "all/b"}
        source.exchanges.clear()
        hub.exchanges.clear()
        again: Any = await outcome_of(await watch(return_state=True))
        assert (again.moved, again.errors) == ((), ())
        assert (len(hub.exchanges), len(source.exchanges)) == (1, 0)
        await push(source.url, "team/b", ["1.0.1", "latest"], single("moved"))
        moved: Any = await outcome_of(await watch(return_state=True))
        assert moved.moved == ("all/b",)


async def test_a_source_that_cannot_be_listed_keeps_the_known_repositories(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry
) -> None:
    await entry_run()
    source.faults.add(Rule("/v2/_catalog", Respond(403), times=None))
    await push(source.url, "team/a", ["2.0.0"], single("a2"))
    state = await entry_run()
    assert state.name == "Partial"
    assert "2.0.0" in target.store.repository("copy/team_a").tags


async def test_the_command_syncs_and_shows_all_repositories_of_an_entry(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry, command: Command
) -> None:
    synced = await command.run("sync", "all", "--json")
    assert synced.code == 0, synced.err
    assert [one["mirror"] for one in json.loads(synced.out)] == ["all/a", "all/b"]
    one = await command.run("sync", "all/b", "--json")
    assert [one["mirror"] for one in json.loads(one.out)] == ["all/b"]
    status = await command.run("status", "--json")
    assert [one["mirror"] for one in json.loads(status.out)] == ["all/a", "all/b"]
    unknown = await command.run("sync", "all/tmp-c")
    assert unknown.code == 2
    assert "mirrors.all does not mirror 'tmp-c'" in unknown.err
