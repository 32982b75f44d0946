"""The watch: one cheap look, one row, and a sync where the source moved."""

from __future__ import annotations

from typing import Any

from flows.orchestration.states import outcome_of
from flows.watch import watch
from mirror.checks import WatchReport
from mirror.outcome import RunStatus
from tests.flows.conftest import Mirrors, Pair, Rows
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fake_registry.releases import past_releases
from tests.support.snapshot import snapshot


async def look() -> WatchReport:
    """Run the watch once."""
    state: Any = await watch(return_state=True)
    watched = await outcome_of(state)
    assert isinstance(watched, WatchReport), watched
    return watched


async def test_a_mirror_whose_source_moved_is_synced_at_once(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    old, new = past_releases(2)
    await push(pair.source_url, pair.source, old.tags, old.image)
    await mirrors.sync()
    assert (await look()).moved == ()
    await push(pair.source_url, pair.source, new.tags, new.image)
    watched = await look()
    assert watched.moved == ("m",)
    assert [outcome.status for outcome in watched.synced] == [RunStatus.SUCCEEDED]
    assert (await snapshot(pair.target_url, pair.target)).tags["latest"] == new.image.digest
    assert rows.one("SELECT count(*) FROM watch_run") == 2
    assert rows.one("SELECT count(*) FROM sync_run WHERE trigger = 'watch'") == 1


async def test_two_mirrors_of_one_source_cost_one_look_of_one_request(mirrors: Mirrors) -> None:
    async with (
        FakeRegistry() as source,
        FakeRegistry() as one,
        FakeRegistry() as two,
        FakeHub(source.store) as hub,
    ):
        for item in past_releases(3):
            await push(source.url, "team/app", item.tags, item.image)
        mirrors.registries[source.host] = {"insecure": True, "hub_api": hub.url}
        mirrors.add("one", f"{source.host}/team/app", f"{one.host}/copy/app")
        mirrors.add("two", f"{source.host}/team/app", f"{two.host}/copy/app")
        first = await look()
        assert first.moved == ("one", "two")
        assert {outcome.mirror for outcome in first.synced} == {"one", "two"}
        again = await look()
        assert again.moved == ()
        assert again.requests == 1


async def test_a_source_that_is_away_is_reported_and_does_not_hide_the_others(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    (item,) = past_releases(1)
    await push(pair.source_url, pair.source, item.tags, item.image)
    mirrors.add("away", "127.0.0.1:1/team/app", "127.0.0.1:2/copy/app")
    watched = await look()
    assert watched.moved == ("m",)
    assert [error.reason.value for error in watched.errors] == ["network"]
    (row,) = rows.all("SELECT * FROM watch_run")
    assert "away" in str(row)
