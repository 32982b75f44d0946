"""One entry for many repositories, from its list to the last tag."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import StateType

from flows.audit_entry import audit_entry, whose_turn
from flows.local.sample_registry.images import single
from flows.orchestration import parts_of
from flows.orchestration.states import outcome_of
from flows.report import report
from flows.sync_entry import sync_entry
from flows.sync_mirror import SyncRequest, sync_mirror
from flows.watch import watch
from mirror.checks import WatchReport
from mirror.outcome import RunStatus
from tests.flows.command import Command
from tests.flows.conftest import Mirrors, Rows
from tests.support.fake_registry.faults import Respond, Rule, insufficient_storage
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


async def test_the_repositories_of_an_entry_are_task_runs_of_one_flow_run(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry, rows: Rows
) -> None:
    await entry_run()
    flow_run = rows.one("SELECT min(flow_run_id) FROM sync_run")
    assert rows.one("SELECT count(*) FROM sync_run WHERE flow_run_id = :run", run=flow_run) == 2
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run]))
    async with get_client() as client, asyncio.timeout(60):
        names: set[str] = set()
        while len(names) < 2:  # events of task runs reach the server a little later
            runs = await client.read_task_runs(flow_run_filter=wanted)
            names = {run.name for run in runs if run.state_type == StateType.COMPLETED}
            await asyncio.sleep(0.2)
    assert names == {"sync all/a", "sync all/b"}


async def test_a_repository_whose_sync_breaks_off_does_not_end_the_others(
    mirrors: Mirrors,
    source: FakeRegistry,
    target: FakeRegistry,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(settings: Any, request: SyncRequest, *others: Any) -> Any:
        if request.mirror == "all/a":
            raise ValueError("a defect")
        return await sync_mirror(settings, request, *others)

    monkeypatch.setattr("flows.sync_group.sync_mirror", broken)
    state = await entry_run()
    assert state.is_failed()
    with pytest.raises(ValueError, match="a defect"):
        await state.aresult()
    assert rows.one("SELECT status FROM sync_run") == "succeeded"
    assert sorted(target.store.repositories) == ["copy/team_b"]


async def test_a_scheduled_run_leaves_parts_of_a_large_entry_to_other_workers(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []

    async def start(entry: str, parts: Any, parameters: dict[str, Any]) -> None:
        started.append((entry, *parts, parameters["full"], parameters["trigger"]))

    monkeypatch.setattr("flows.orchestration.entry_runs.MOST_IN_A_RUN", 1)
    monkeypatch.setattr("flows.sync_entry.is_deployed_run", lambda: True)
    monkeypatch.setattr("flows.sync_entry.start_entry_runs", start)
    outcomes: Any = await outcome_of(await entry_run(trigger="schedule"))
    assert [one.mirror for one in outcomes] == ["all/a"]
    assert started == [("all", ("all/b",), True, "schedule")]


def test_parts_are_even() -> None:
    names = tuple(str(number) for number in range(201))
    assert [len(part) for part in parts_of(names)] == [67, 67, 67]
    assert sum(parts_of(names), ()) == names
    assert parts_of(()) == ()


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
        await watch(return_state=True)  # finds that both are in sync
        source.exchanges.clear()
        hub.exchanges.clear()
        again: Any = await outcome_of(await watch(return_state=True))
        assert (again.moved, again.errors) == ((), ())
        assert (len(hub.exchanges), len(source.exchanges)) == (1, 0)
        await push(source.url, "team/b", ["1.0.1", "latest"], single("moved"))
        moved: Any = await outcome_of(await watch(return_state=True))
        assert moved.moved == ("all/b",)


async def test_a_push_whose_sync_was_broken_off_is_synced_at_the_next_look(
    mirrors: Mirrors,
    source: FakeRegistry,
    target: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def killed(*_: Any) -> Any:
        raise ValueError("as if its worker had been killed")

    async with FakeHub(source.store) as hub:
        mirrors.registries[source.host] = {"insecure": True, "hub_api": hub.url}
        mirrors.write()
        with monkeypatch.context() as patched:
            patched.setattr("flows.sync_group.sync_mirror", killed)
            await watch(return_state=True)
        assert not target.store.repositories
        await watch(return_state=True)
        assert sorted(target.store.repositories) == ["copy/team_a", "copy/team_b"]


async def test_a_tag_that_failed_is_tried_again_when_it_is_due(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry, rows: Rows
) -> None:
    async with FakeHub(source.store) as hub:
        mirrors.registries[source.host] = {"insecure": True, "hub_api": hub.url}
        mirrors.write()
        full = Rule("PUT /v2/copy/team_a/manifests/", insufficient_storage(), times=None)
        target.faults.add(full)
        await watch(return_state=True)
        await watch(return_state=True)  # it waits: looked at, and left alone
        target.faults.clear()
        assert rows.one("SELECT count(*) FROM tag_state WHERE next_attempt_at > now()")
        with rows.engine.begin() as connection:
            connection.execute(sa.text("UPDATE tag_state SET next_attempt_at = now()"))
        await watch(return_state=True)
        assert sorted(target.store.repositories) == ["copy/team_a", "copy/team_b"]
        assert set((await snapshot(target.url, "copy/team_a")).tags) == {"1.0.0", "latest"}


async def test_a_source_that_cannot_be_listed_keeps_the_known_repositories(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry
) -> None:
    await entry_run()
    source.faults.add(Rule("/v2/_catalog", Respond(403), times=None))
    await push(source.url, "team/a", ["2.0.0"], single("a2"))
    state = await entry_run()
    assert state.name == "Partial"
    assert "2.0.0" in target.store.repository("copy/team_a").tags


async def test_repositories_are_audited_in_turn_each_once_a_day(
    mirrors: Mirrors, source: FakeRegistry, target: FakeRegistry, rows: Rows
) -> None:
    await entry_run()
    audited = []
    for _ in range(3):
        state: Any = await audit_entry(entry="all", rate=500, return_state=True)
        assert state.name == "Completed"
        audited += [report.mirror for report in await state.aresult()]
    assert audited == ["all/a", "all/b"]
    assert rows.one("SELECT count(*) FROM audit_run") == 2


def test_an_hours_share_is_audited_the_oldest_first() -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    last: dict[str, datetime | None] = {
        f"all/{hour:02}": now - timedelta(hours=hour) for hour in range(48)
    }
    assert whose_turn(last, now) == ("all/47", "all/46")
    assert whose_turn({**last, "all/new": None}, now) == ("all/new", "all/47", "all/46")
    assert whose_turn({"all/a": now - timedelta(hours=23)}, now) == ()


async def test_the_expiry_of_an_entrys_credential_is_noted_for_each_repository(
    mirrors: Mirrors,
    source: FakeRegistry,
    target: FakeRegistry,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await entry_run()
    parts: tuple[dict[str, Any], ...] = ({"alg": "none"}, {"exp": 1798761600}, {})
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
    monkeypatch.setenv("ROBOT", ".".join(part.decode().rstrip("=") for part in encoded))
    mirrors.registries[target.host] |= {"username": "robot", "password_env": "ROBOT"}
    mirrors.write()
    await report()
    assert rows.all(
        "SELECT name, expires_at FROM credential_end"
        " JOIN repository ON id = repository_id ORDER BY name"
    ) == [
        {"name": name, "expires_at": datetime(2027, 1, 1, tzinfo=UTC)}
        for name in ("copy/team_a", "copy/team_b")
    ]


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
    chosen = await command.run("status", "all/b", "--json")
    assert [one["mirror"] for one in json.loads(chosen.out)] == ["all/b"]
    unlocked = await command.run("unlock", "all")
    assert unlocked.out.splitlines() == [
        f"{target.host}/copy/team_a: not locked",
        f"{target.host}/copy/team_b: not locked",
    ]
    unknown = await command.run("sync", "all/tmp-c")
    assert unknown.code == 2
    assert "mirrors.all does not mirror 'tmp-c'" in unknown.err
