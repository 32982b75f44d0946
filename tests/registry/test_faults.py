"""What goes wrong with manifests and answers is retried, waited for, or explained."""

from __future__ import annotations

import httpx
import pytest

from mirror.registry import (
    Clock,
    DigestMismatch,
    Endpoint,
    Manifest,
    Registry,
    RegistryError,
    RetryPolicy,
    Throttled,
)
from mirror.registry.spec.digest import digest_of
from tests.registry.conftest import put_image
from tests.registry.pair import LostAnswer, hasty
from tests.registry.scripted import Script, answer
from tests.registry.test_kinds_of_registries import NAME
from tests.support.fake_registry.faults import Corrupt, Rule
from tests.support.fake_registry.registry import FakeRegistry

IMAGE = Manifest.parse(
    b'{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"'
    + digest_of(b"").encode()
    + b'","size":0},"layers":[]}'
)


async def test_a_manifest_whose_put_broke_is_put_again() -> None:
    async with FakeRegistry() as demo, hasty(demo.host) as registry:
        repository = registry.repository(NAME)
        demo.faults.add(Rule("PUT .*/manifests/", LostAnswer()))
        image = await put_image(repository, "1", b"layer")
        assert (await repository.get_manifest("1")).raw == image.raw


async def test_a_manifest_that_came_damaged_is_asked_for_once_more() -> None:
    async with FakeRegistry() as demo, hasty(demo.host) as registry:
        repository = registry.repository(NAME)
        image = await put_image(repository, "1", b"layer")
        demo.faults.add(Rule("GET .*/manifests/", Corrupt(offset=3)))
        assert (await repository.get_manifest(image.digest)).raw == image.raw
        demo.faults.add(Rule("GET .*/manifests/", Corrupt(offset=3), times=None))
        with pytest.raises(DigestMismatch, match=image.digest):
            await repository.get_manifest(image.digest)


async def test_retry_after_is_waited_for_but_not_for_ever() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def busy(seconds: int) -> Registry:
        script = Script()
        script.on("", answer(429, "", {"Retry-After": str(seconds)}))
        return Registry(
            Endpoint("registry.example.com"),
            transport=script,
            clock=Clock(sleep=sleep),
            retry=RetryPolicy(attempts=2, patience=60),
        )

    async with busy(7) as registry:
        with pytest.raises(Throttled) as caught:
            await registry.ping()
    assert caught.value.retry_after == 7
    assert max(waits) == pytest.approx(7, abs=0.1)
    waits.clear()
    async with busy(3600) as registry:
        with pytest.raises(Throttled):
            await registry.ping()
    assert waits == []


@pytest.mark.parametrize(
    "body",
    [
        '{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}',
        '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
        '{"details":"denied"}',
        "<html><h1>403 Forbidden</h1></html>",
        "",
    ],
)
async def test_aliyun_s_denial_is_explained(body: str) -> None:
    script = Script()
    script.on("", answer(403, body))
    host = "registry.cn-hangzhou.aliyuncs.com"
    async with Registry(Endpoint(host), transport=script) as registry:
        with pytest.raises(RegistryError, match="namespace does not exist") as caught:
            await registry.repository("hagicode/x").put_manifest("1", IMAGE)
    assert caught.value.reason == "auth"
    assert "\n" not in str(caught.value)


async def test_what_the_quota_headers_say_is_kept() -> None:
    script = Script()
    limits = {"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}
    script.on("", lambda _: httpx.Response(200, json={"tags": []}, headers=limits))
    async with Registry(Endpoint("docker.io"), transport=script) as registry:
        await registry.repository("library/x").tags()
        assert registry.quota is not None
        assert (registry.quota.limit, registry.quota.remaining) == (100, 76)
        assert registry.quota.window_seconds == 21600
    assert script.seen[0].url.host == "registry-1.docker.io"
