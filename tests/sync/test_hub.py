"""Docker Hub as a source: its quota, its web API, and what both may tell wrongly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.local.sample_registry.images import single
from flows.local.sample_registry.store import Store
from mirror.config.models import TagPolicy
from mirror.outcome import Change, ChangeKind, Quota, SourceTag
from mirror.sync.tags.quota import spend
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Auth, PullQuota
from tests.support.fake_registry.hub import FakeHub, HubBehaviour
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

OPEN = replace(quirks.DOCKER_HUB, auth=Auth(), quota=PullQuota(limit=10_000))
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def hub_mirror(
    count: int = 0, behaviour: HubBehaviour | None = None
) -> AsyncIterator[tuple[FakeRegistry, FakeHub, FakeRegistry, CoreSync]]:
    """Docker Hub with `count` tags of one image each minute, its web API, a target, a mirror."""
    clock = Clock()
    store = Store(clock)
    image = single("hub/many", sizes=(100,))
    for number in range(count):
        seed(store, SOURCE, f"t{number}", image)
    async with (
        FakeRegistry(OPEN, store=store) as source,
        FakeHub(store, behaviour, clock=lambda: clock.now + timedelta(days=1)) as hub,
        FakeRegistry() as target,
    ):
        yield source, hub, target, CoreSync(endpoint_of(source, hub), endpoint_of(target))


class Clock:
    """Each push a second after the last."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def manifest_gets(registry: FakeRegistry) -> list[str]:
    return [
        one.path for one in registry.exchanges if one.method == "GET" and "/manifests/" in one.path
    ]


async def test_unchanged_tags_cost_one_request_a_hundred_and_the_registry_none() -> None:
    async with hub_mirror(250) as (source, hub, _, core):
        await core.sync()
        for exchanges in (source.exchanges, hub.exchanges):
            exchanges.clear()
        synced = await core.sync(full=False)
        assert not synced.plan.changes
        assert len(hub.exchanges) == 1, "the newest hundred: nothing new, so nothing older is"
        assert source.exchanges == []


async def test_one_new_tag_of_many_is_found_by_at_most_three_requests() -> None:
    async with hub_mirror(1_000) as (source, hub, _, core):
        await core.sync()
        seed(source.store, SOURCE, "new", single("hub/new", sizes=(100,)))
        source.exchanges.clear()
        hub.exchanges.clear()
        synced = await core.sync(full=False)
        assert synced.arrived == ("new",)
        heads = [one for one in source.exchanges if one.method == "HEAD"]
        assert len(heads) + len(hub.exchanges) <= 3
        assert len(manifest_gets(source)) == 1, "what counts against the quota"


async def test_manifests_are_fetched_only_for_tags_that_moved() -> None:
    async with hub_mirror() as (source, _, _, core):
        for name in ("a", "b", "c"):
            seed(source.store, SOURCE, name, multi_platform(f"hub/{name}", sizes=(100,)))
        await core.sync()
        assert len(manifest_gets(source)) == 3 * 3
        source.exchanges.clear()
        for full in (False, True):
            await core.sync(full=full)
        assert manifest_gets(source) == []
        seed(source.store, SOURCE, "b", multi_platform("hub/moved", sizes=(100,)))
        for full in (False, True):
            await core.sync(full=full)
        assert len(manifest_gets(source)) == 3


@pytest.mark.parametrize(
    "behaviour",
    [
        HubBehaviour(digests=False, image_digests=False),
        HubBehaviour(hidden=frozenset({"a"})),
        HubBehaviour(stale={"a": f"sha256:{'0' * 64}"}),
        HubBehaviour(lag=timedelta(days=2)),
    ],
    ids=["null digests", "a hidden tag", "a stale digest", "a list that lags"],
)
async def test_a_web_api_that_tells_wrongly_never_leads_to_a_wrong_copy(
    behaviour: HubBehaviour,
) -> None:
    async with hub_mirror() as (source, hub, target, core):
        held = target.store.repository(TARGET).tags
        for name in ("a", "b"):
            seed(source.store, SOURCE, name, single(f"hub/{name}/1", sizes=(100,)))
        await core.sync()
        hub.behaviour = behaviour
        moved = {name: single(f"hub/{name}/2", sizes=(100,)) for name in ("a", "b")}
        for name, image in moved.items():
            seed(source.store, SOURCE, name, image)
        quick = await core.sync(full=False)
        assert quick.plan.gone == ()
        for name, image in moved.items():
            first = single(f"hub/{name}/1", sizes=(100,))
            assert held[name] in (image.digest, first.digest)
        full = await core.sync(full=True)
        assert full.plan.gone == ()
        assert held == {name: image.digest for name, image in moved.items()}


async def test_a_tag_that_the_web_api_hides_is_not_gone() -> None:
    async with hub_mirror(3, HubBehaviour(hidden=frozenset({"t1"}))) as (source, _, _, core):
        assert len((await core.sync()).arrived) == 3
        seed(source.store, SOURCE, "t9", single("hub/t9", sizes=(100,)))
        assert (await core.sync(full=False)).plan.gone == ()
        assert (await core.sync(full=True)).plan.gone == ()


async def test_only_a_full_look_says_that_a_tag_is_gone() -> None:
    async with hub_mirror(10) as (source, _, _, core):
        await core.sync()
        source.store.repository(SOURCE).delete_tag("t1")
        assert (await core.sync(full=False)).plan.gone == ()
        assert (await core.sync(full=True)).plan.gone == ("t1",)


async def test_tags_are_picked_by_push_time_where_only_the_newest_are_wanted() -> None:
    async with hub_mirror(6) as (source, _, target, core):
        core.tags = TagPolicy(newest=2)
        await core.sync()
        assert set(target.store.repository(TARGET).tags) == {"t4", "t5"}
        seed(source.store, SOURCE, "t0", single("hub/again", sizes=(100,)))
        assert (await core.sync(full=False)).arrived == ("t0",)


@pytest.mark.parametrize("remaining", [100, 50, 9, 0])
def test_a_quota_is_spent_in_order_and_never_to_its_end(remaining: int) -> None:
    quota = Quota("docker.io", None, 100, remaining, 21_600, BEGIN)
    tags = {
        f"t{number}": SourceTag(f"t{number}", digest, platforms=("linux/amd64", "linux/arm64"))
        for number in range(20)
        if (digest := f"sha256:{number // 2:064d}")
    }
    changes = [
        Change(name, name, ChangeKind.NEW, tag.digest, None, BEGIN) for name, tag in tags.items()
    ]
    budget = spend(changes, tags.values(), quota)
    assert [*budget.affordable, *budget.deferred] == changes
    digests = {change.digest for change in budget.affordable}
    assert len(digests) * 5 <= max(0, remaining - 5)
    assert all(change.digest not in digests for change in budget.deferred)
    resumes_at = BEGIN + timedelta(hours=6)
    assert budget.resumes_at == (resumes_at if budget.deferred else None)
