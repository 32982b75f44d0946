"""Which repositories there are, by Docker Hub's web API and by /v2/_catalog."""

from __future__ import annotations

import json
from datetime import UTC

import pytest

from flows.local.sample_registry.images import single
from mirror.registry import Endpoint, HubApi, NotFound, ProtocolError, Registry, list_repositories
from tests.registry.scripted import Script, answer
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fixtures import StartDockerRegistry


async def test_a_namespace_is_listed_a_hundred_a_request_with_times_of_the_last_push(
    fake_registry: FakeRegistry,
) -> None:
    for number in range(130):
        await push(fake_registry.url, f"bitnami/app-{number:03}", ["1", "2"], single("catalog"))
    await push(fake_registry.url, "other/app", ["1"], single("catalog"))
    async with (
        FakeHub(fake_registry.store) as hub,
        Registry(Endpoint(fake_registry.host, insecure=True, hub_api=hub.url)) as registry,
    ):
        found = await HubApi(registry).repositories("bitnami")
        assert registry.requests == 2
        assert [one.name for one in found] == [f"bitnami/app-{n:03}" for n in range(130)]
        pushed = fake_registry.store.repository("bitnami/app-007").pushed_at
        assert found[7].updated_at == max(pushed.values()).astimezone(UTC)
        with pytest.raises(NotFound):
            await HubApi(registry).repositories("nobody")


async def test_a_real_registry_lists_its_repositories(docker_registry: StartDockerRegistry) -> None:
    real = docker_registry()
    for name in ("team/a", "team/b/c", "x"):
        await push(real.url, name, ["1"], single("catalog"))
    async with Registry(Endpoint(real.host, insecure=True)) as registry:
        found = await list_repositories(registry)
    assert [one.name for one in found] == ["team/a", "team/b/c", "x"]


def scripted(script: Script) -> Registry:
    return Registry(Endpoint("r.example.com"), transport=script)


async def test_pages_are_followed_to_their_end_whatever_they_hold() -> None:
    pages = {
        "n=1000": (["a"], "/v2/_catalog?last=a"),
        "last=a": ([], "http://elsewhere.example/v2/_catalog?last=b"),
        "last=b": (["b", "No Name", 7], None),
    }
    script = Script()
    for query, (names, following) in pages.items():
        link = {"Link": f'<{following}>; rel="next"'} if following else {}
        script.on(query, answer(200, json.dumps({"repositories": names}), link))
    async with scripted(script) as registry:
        found = await list_repositories(registry)
    assert [one.name for one in found] == ["a", "b"]
    assert {request.url.host for request in script.seen} == {"r.example.com"}


@pytest.mark.parametrize(
    "body", [{"errors": []}, {"message": "no"}, {"repositories": "all"}, {"repositories": [1, 2]}]
)
async def test_what_is_no_list_is_never_an_empty_one(body: object) -> None:
    script = Script()
    script.on("_catalog", answer(200, json.dumps(body)))
    async with scripted(script) as registry:
        with pytest.raises(ProtocolError, match="invalid repository list"):
            await list_repositories(registry)
