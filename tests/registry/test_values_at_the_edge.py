"""Absurd values from outside are left out where they arrive, or fail one tag."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from mirror.registry import BudgetExceeded, Clock, Endpoint, HubApi, HubTag, Manifest, Registry
from mirror.registry.http.headers import quota_status
from mirror.registry.spec.digest import digest_of
from mirror.registry.spec.media_type import OCI_INDEX, OCI_MANIFEST
from tests.registry.scripted import Script, answer

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("kind", "key"), [(OCI_INDEX, "manifests"), (OCI_MANIFEST, "layers")])
def test_a_manifest_may_list_4096_others(kind: str, key: str) -> None:
    def listing(count: int) -> bytes:
        one = {"mediaType": OCI_MANIFEST, "digest": digest_of(b""), "size": 1}
        return json.dumps({"schemaVersion": 2, "mediaType": kind, key: [one] * count}).encode()

    assert Manifest.parse(listing(4096)).media_type == kind
    with pytest.raises(BudgetExceeded, match=f"lists 4,097 {key}.*budget of 4,096"):
        Manifest.parse(listing(4097))


async def _hub_tag(entry: dict[str, object]) -> HubTag:
    script = Script()
    script.on("GET", answer(200, json.dumps({"results": [{"name": "1", **entry}]})))
    endpoint = Endpoint("docker.io", hub_api="https://hub.test")
    async with Registry(endpoint, transport=script, clock=Clock(now=lambda: NOW)) as registry:
        (page,) = [page async for page in HubApi(registry).pages("a/b")]
    return page.tags[0]


@pytest.mark.parametrize("size", [1e30, 2**63, 10**30, -1, True, "1"])
async def test_a_size_that_is_none_is_unknown(size: object) -> None:
    assert (await _hub_tag({"full_size": size})).size is None
    assert (await _hub_tag({"images": [{"size": size}], "full_size": 5})).size == 5


@pytest.mark.parametrize("odd", ["a\0b", "a\x1b[31m", "a\x9bb", "a" * 65, "a\u202eb"])
async def test_a_platform_that_is_none_is_left_out(odd: str) -> None:
    good = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    images = [{**good, key: odd} for key in good] + [good]
    assert (await _hub_tag({"images": images})).platforms == ("linux/arm64/v8",)


@pytest.mark.parametrize(
    ("pushed", "known"),
    [
        ("0001-01-01T00:00:00Z", False),
        ("0001-01-01T00:00:00+14:00", False),
        ("1999-12-31T23:59:59Z", False),
        ("2000-01-01T00:00:00Z", True),
        ("2026-01-02T00:00:00Z", True),
        ("2026-01-02T00:00:01Z", False),
        ("9999-12-31T23:59:59-14:00", False),
    ],
)
async def test_a_push_time_before_registries_or_in_the_future_is_unknown(
    pushed: str, known: bool
) -> None:
    assert ((await _hub_tag({"tag_last_pushed": pushed})).pushed_at is not None) is known


@pytest.mark.parametrize("odd", ["999999999999", "1000000001;w=60", "100;w=1000000001"])
def test_a_quota_beyond_a_billion_is_ignored(odd: str) -> None:
    good = "100;w=21600"
    assert quota_status({"ratelimit-limit": good, "ratelimit-remaining": good}, NOW)
    assert quota_status({"ratelimit-limit": odd, "ratelimit-remaining": good}, NOW) is None
    assert quota_status({"ratelimit-limit": good, "ratelimit-remaining": odd}, NOW) is None
