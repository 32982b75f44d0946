"""The watch that stays: syncs as flow runs, one leader, settings that change, a clean end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from prefect import get_client

from flows.sync_mirror import SyncRequest, sync_mirror
from flows.watching import Reports, live_watch
from mirror.checks import Look, SyncEnd
from mirror.history import PostgresRecorder
from mirror.outcome import RunStatus
from tests.flows.conftest import Mirrors, Pair, Rows
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fake_registry.releases import past_releases
from tests.support.snapshot import snapshot


@dataclass
class Seen:
    """What a watch said."""

    looks: list[Look] = field(default_factory=list)
    syncs: list[SyncEnd] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def reports(self) -> Reports:
        """Where it says it."""
        return Reports(self.looks.append, self.syncs.append, self.lines.append)


async def until(holds: Callable[[], object]) -> None:
    """Wait until that is true."""
    for _ in range(2400):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come true within two minutes")


@asynccontextmanager
async def watching() -> AsyncIterator[Seen]:
    """A watch of mirrors.yaml, stopped at the end as by SIGTERM."""
    seen, stop = Seen(), asyncio.Event()
    running = asyncio.create_task(live_watch(stop, seen.reports))
    try:
        yield seen
    finally:
        stop.set()
        async with asyncio.timeout(90):
            await running


async def test_a_push_is_copied_by_a_flow_run_and_looks_that_find_nothing_make_none(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    mirrors.mirrors["m"]["watch_every"] = "1s"
    mirrors.write()
    old, new = past_releases(2)
    await push(pair.source_url, pair.source, old.tags, old.image)
    async with watching() as seen:
        await until(lambda: len(seen.syncs) == 1)
        quiet = len(seen.looks) + 2
        await until(lambda: len(seen.looks) > quiet)
        await push(pair.source_url, pair.source, new.tags, new.image)
        await until(lambda: len(seen.syncs) >= 2)
    outcomes = [end.outcome for end in seen.syncs if end.outcome]
    assert {outcome.status for outcome in outcomes} == {RunStatus.SUCCEEDED}
    assert (await snapshot(pair.target_url, pair.target)).tags["latest"] == new.image.digest
    runs = rows.all("SELECT flow_run_id, trigger FROM sync_run")
    assert {run["trigger"] for run in runs} == {"watch"}
    async with get_client() as client:
        for run in runs:
            assert (await client.read_flow_run(run["flow_run_id"])).name.startswith("sync m")
    assert len(seen.looks) > len(rows.all("SELECT 1 FROM watch_run"))
    assert rows.one("SELECT count(*) FROM watch_run WHERE moved = '{m}'") >= 2


async def test_one_watch_leads_and_another_takes_over_when_it_ends(
    mirrors: Mirrors, pair: Pair
) -> None:
    (item,) = past_releases(1)
    await push(pair.source_url, pair.source, item.tags, item.image)
    async with AsyncExitStack() as stack:
        async with watching() as first:
            await until(lambda: first.looks)
            second = await stack.enter_async_context(watching())
            await until(lambda: second.lines)
            assert "another watch is running" in second.lines[0]
            assert second.looks == []
        await until(lambda: second.looks)


async def test_a_mirror_that_is_added_to_mirrors_yaml_is_watched(
    mirrors: Mirrors, pair: Pair
) -> None:
    (item,) = past_releases(1)
    await push(pair.source_url, pair.source, item.tags, item.image)
    async with watching() as seen:
        await until(lambda: seen.syncs)
        mirrors.add("n", mirrors.mirrors["m"]["source"], f"{pair.target_url[7:]}/copy/other")
        await until(lambda: any(end.mirror == "n" for end in seen.syncs))
    assert any("has changed" in line for line in seen.lines)


async def test_a_source_that_is_away_is_reported_and_the_others_are_watched(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    (item,) = past_releases(1)
    await push(pair.source_url, pair.source, item.tags, item.image)
    mirrors.add("away", "127.0.0.1:1/team/app", "127.0.0.1:2/copy/app")
    async with watching() as seen:
        await until(lambda: seen.syncs and any(_failed(look) for look in seen.looks))
    assert seen.syncs[0].mirror == "m"
    assert rows.one("SELECT count(*) FROM watch_run WHERE failed = '{away}'") >= 1


async def test_what_failed_while_a_target_was_away_is_copied_once_it_is_back(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    old, new = past_releases(2)
    await push(pair.source_url, pair.source, old.tags, old.image)
    waiting = "SELECT count(*) FROM tag_state WHERE next_attempt_at > now()"
    async with FakeRegistry() as target:
        mirrors.add("m", mirrors.mirrors["m"]["source"], f"{target.host}/copy/app")
        mirrors.mirrors["m"]["watch_every"] = "1s"
        mirrors.write()
        async with watching() as seen:
            await until(lambda: seen.syncs)
            target.faults.add(Rule("", Respond(503), times=None))
            await push(pair.source_url, pair.source, new.tags, new.image)
            await until(lambda: rows.one(waiting))
            target.faults.clear()
            await until(lambda: not rows.one(waiting))  # at the pace of retry: in five minutes
            await until(lambda: rows.one("SELECT count(*) FROM tag_state WHERE attempts > 0") == 0)
        assert (await snapshot(target.url, "copy/app")).tags["latest"] == new.image.digest


def _failed(look: Look) -> bool:
    return look.result is not None and look.result.error is not None


async def test_a_reported_push_is_looked_at_at_once_and_its_way_is_a_query(
    mirrors: Mirrors, pair: Pair, rows: Rows, url: str
) -> None:
    mirrors.mirrors["m"]["watch_every"] = "1h"
    mirrors.write()
    old, new = past_releases(2)
    await push(pair.source_url, pair.source, old.tags, old.image)
    async with watching() as seen:
        await until(lambda: seen.syncs)
        await push(pair.source_url, pair.source, new.tags, new.image)
        async with PostgresRecorder.open(url) as recorder:
            await recorder.add_hook_events("generic", "test", [(pair.source, "latest")])
            await recorder.add_hook_events("generic", "test", [("team/unknown", "latest")])
        await until(lambda: len(seen.syncs) == 2)
        await until(lambda: rows.one("SELECT max(looked_at) FROM hook_event"))
    assert (await snapshot(pair.target_url, pair.target)).tags["latest"] == new.image.digest
    (known, unknown) = rows.all("SELECT * FROM report_hook_events ORDER BY mirror")
    assert known["received_at"] <= known["looked_at"] <= known["available_at"]
    assert (known["mirror"], unknown["mirror"], unknown["looked_at"]) == ("m", None, None)


async def test_repositories_of_an_entry_are_watched_and_new_ones_are_found(
    mirrors: Mirrors, rows: Rows
) -> None:
    (item,) = past_releases(1)
    async with FakeRegistry() as source, FakeRegistry() as target:
        await push(source.url, "team/a", item.tags, item.image)
        mirrors.add("all", f"{source.host}/team/*", f"{target.host}/copy/*", watch_every="1s")
        async with watching() as seen:
            await until(lambda: [end.mirror for end in seen.syncs] == ["all/a"])
            await push(source.url, "team/b", item.tags, item.image)
            await until(lambda: {end.mirror for end in seen.syncs} == {"all/a", "all/b"})
        assert sorted(target.store.repositories) == ["copy/a", "copy/b"]


async def test_repositories_that_moved_together_are_synced_by_one_flow_run(
    mirrors: Mirrors, rows: Rows
) -> None:
    (item,) = past_releases(1)
    names = {f"all/{letter}" for letter in "abcdefghijkl"}
    async with FakeRegistry() as source, FakeRegistry() as target:
        for name in names:
            await push(source.url, name.replace("all", "team"), item.tags, item.image)
        mirrors.add("all", f"{source.host}/team/*", f"{target.host}/copy/*", watch_every="1h")
        async with watching() as seen:
            await until(lambda: len(seen.syncs) == len(names))
    assert {end.mirror for end in seen.syncs} == names
    outcomes = [end.outcome for end in seen.syncs if end.outcome]
    assert [outcome.status for outcome in outcomes] == [RunStatus.SUCCEEDED] * len(names)
    assert rows.one("SELECT count(DISTINCT flow_run_id) FROM sync_run") == 1


async def test_a_repository_whose_sync_breaks_off_is_told_from_the_others_of_its_run(
    mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(settings: Any, request: SyncRequest, *others: Any) -> Any:
        if request.mirror == "all/a":
            raise ValueError("a defect")
        return await sync_mirror(settings, request, *others)

    monkeypatch.setattr("flows.sync_group.sync_mirror", broken)
    (item,) = past_releases(1)
    async with FakeRegistry() as source, FakeRegistry() as target:
        for letter in "ab":
            await push(source.url, f"team/{letter}", item.tags, item.image)
        mirrors.add("all", f"{source.host}/team/*", f"{target.host}/copy/*", watch_every="1h")
        async with watching() as seen:
            await until(lambda: len(seen.syncs) == 2)
    ends = {end.mirror: end for end in seen.syncs}
    assert isinstance(ends["all/a"].defect, ValueError)
    assert ends["all/b"].outcome is not None
    assert ends["all/b"].outcome.status is RunStatus.SUCCEEDED
