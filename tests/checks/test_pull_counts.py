"""Pull counts come from registries that report them, and are unknown elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flows.local.sample_registry.hub import HubRow
from mirror.checks.aliyun_counts import AliyunAccount, CountUnknown
from mirror.checks.pull_counts import pulls_of
from mirror.registry import Endpoint, Registry
from tests.checks.aliyun_api import aliyun_api
from tests.support.fake_registry.hub import FakeHub, HubBehaviour

LATEST = HubRow("latest", "sha256:a", "application/json", datetime(2026, 11, 24, tzinfo=UTC))
HUB = HubBehaviour(pull_counts={"newbe36524/hagicode": 12_345})


async def count(
    endpoint: Endpoint, repository: str, aliyun: AliyunAccount | None = None
) -> int | None:
    async with Registry(endpoint) as registry:
        found = await pulls_of(registry, repository, aliyun)
        assert registry.requests <= 1
        return found


async def test_docker_hubs_web_api_reports_in_one_request() -> None:
    async with FakeHub(behaviour=HUB) as hub:
        hub.pushed("newbe36524/hagicode", LATEST)
        endpoint = Endpoint("docker.io", insecure=True, hub_api=hub.url)
        assert await count(endpoint, "newbe36524/hagicode") == 12_345


async def test_a_repository_that_the_web_api_does_not_know_is_unknown_with_its_reason() -> None:
    async with FakeHub(behaviour=HUB) as hub:
        endpoint = Endpoint("docker.io", insecure=True, hub_api=hub.url)
        with pytest.raises(CountUnknown, match="newbe36524/other"):
            await count(endpoint, "newbe36524/other")


async def test_aliyuns_personal_edition_is_asked_where_there_is_a_key() -> None:
    endpoint = Endpoint("registry.cn-hangzhou.aliyuncs.com")
    async with aliyun_api({"hagicode/hagicode": 77}) as api:
        account = AliyunAccount(api.key_id, "secret", endpoint=api.host, insecure=True)
        assert await count(endpoint, "hagicode/hagicode", account) == 77
    assert await count(endpoint, "hagicode/hagicode") is None


@pytest.mark.parametrize(
    "host", ["hagicode.azurecr.io", "hagicode-registry.cn-hangzhou.cr.aliyuncs.com", "ghcr.io"]
)
async def test_registries_that_report_no_pulls_are_not_asked(host: str) -> None:
    assert await count(Endpoint(host), "a/b", AliyunAccount("id", "secret")) is None
