"""Docker Hub's web API as the client reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flows.local.sample_registry.store import Store
from mirror.registry import Clock, Endpoint, HubApi, NotFound, ProtocolError, Registry
from tests.registry.scripted import Script, answer
from tests.support.fake_registry.hub import FakeHub, HubBehaviour
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry

NAME = "newbe36524/hagicode"


def _client(demo: FakeRegistry, hub: FakeHub, clock: Clock | None = None) -> Registry:
    return Registry(Endpoint(demo.host, insecure=True, hub_api=f"{hub.url}/"), clock=clock)


async def test_tags_come_newest_first_a_hundred_a_request() -> None:
    image = multi_platform("hub-api")
    pushed = [datetime(2025, 6, 1, 12, tzinfo=UTC)]

    def clock() -> datetime:
        pushed.append(pushed[-1] + timedelta(seconds=1))
        return pushed[-1]

    async with (
        FakeRegistry(store=Store(clock)) as demo_registry,
        FakeHub(demo_registry.store) as hub,
        _client(demo_registry, hub) as registry,
    ):
        await push(demo_registry.url, NAME, [f"0.{number}" for number in range(150)], image)
        pages = HubApi(registry).pages(NAME)
        first = await anext(pages)
        assert registry.requests == 1
        assert len(first.tags) == 100
        assert first.count == 150
        newest = first.tags[0]
        assert (newest.name, newest.digest) == ("0.149", image.digest)
        assert newest.pushed_at == pushed[-1]
        assert newest.platforms == ("linux/amd64", "linux/arm64")
        second = [page async for page in pages]
        assert [len(page.tags) for page in second] == [50]
        assert registry.requests == 2


async def test_digests_that_the_list_does_not_tell_are_none(fake_registry: FakeRegistry) -> None:
    behaviour = HubBehaviour(digests=False, image_digests=False)
    async with (
        FakeHub(fake_registry.store, behaviour) as hub,
        _client(fake_registry, hub) as registry,
    ):
        await push(fake_registry.url, NAME, "0.1", multi_platform("hub-api"))
        (page,) = [page async for page in HubApi(registry).pages(NAME)]
        assert page.tags[0].digest is None


async def test_a_repository_tells_its_pulls(fake_registry: FakeRegistry) -> None:
    behaviour = HubBehaviour(pull_counts={NAME: 4321})
    async with (
        FakeHub(fake_registry.store, behaviour) as hub,
        _client(fake_registry, hub) as registry,
    ):
        await push(fake_registry.url, NAME, "0.1", multi_platform("hub-api"))
        assert (await HubApi(registry).repository_info(NAME)).pull_count == 4321
        with pytest.raises(NotFound):
            await HubApi(registry).repository_info("nobody/nothing")


async def test_a_limit_with_a_unix_timestamp_is_waited_for(fake_registry: FakeRegistry) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    script = Script()
    now = datetime(2025, 6, 1, 12, tzinfo=UTC)
    until = now + timedelta(seconds=30)
    script.on(
        "hub.test",
        lambda _: (
            answer(429, "", {"Retry-After": str(int(until.timestamp()))})
            if len(script.seen) == 1
            else answer(200, '{"count":0,"results":[],"next":null}')
        ),
    )
    endpoint = Endpoint("docker.io", hub_api="https://hub.test")
    clock = Clock(now=lambda: now, sleep=sleep, monotonic=lambda: 0.0)
    async with Registry(endpoint, transport=script, clock=clock) as registry:
        pages = [page async for page in HubApi(registry).pages("library/x")]
    assert [page.tags for page in pages] == [()]
    assert max(waits) == 30


async def test_the_next_page_is_asked_of_the_web_api_alone() -> None:
    """A list that names another host for its next page does not lead there."""
    script = Script()
    script.on(
        "page=2",
        answer(200, '{"count":2,"results":[{"name":"2"}],"next":"http://hub.test/x?page=2"}'),
    )
    script.on(
        "hub.test",
        answer(200, '{"count":2,"results":[{"name":"1"}],"next":"http://evil.test/x?page=2"}'),
    )
    endpoint = Endpoint("docker.io", hub_api="http://hub.test")
    async with Registry(endpoint, transport=script) as registry:
        pages = [page async for page in HubApi(registry).pages("library/x")]
    assert [page.tags[0].name for page in pages] == ["1", "2"], "and in no circle"
    assert not script.asked("evil.test")


async def test_a_registry_without_a_web_api_says_so() -> None:
    async with Registry(Endpoint("ghcr.io")) as registry:
        with pytest.raises(ProtocolError, match=r"ghcr\.io has no web API"):
            HubApi(registry)
    assert Endpoint("docker.io").web_api == "https://hub.docker.com"
