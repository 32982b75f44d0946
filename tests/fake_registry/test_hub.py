"""Docker Hub's web API, as registry-facts.md describes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.local.sample_registry.hub import HubRow
from flows.local.sample_registry.images import attested, single
from flows.local.sample_registry.releases import release
from flows.local.sample_registry.store import Store
from tests.support.fake_registry.hub import FakeHub, HubBehaviour
from tests.support.fake_registry.push import delete_tag, plain_client, push
from tests.support.fake_registry.registry import FakeRegistry

NAME = "newbe36524/hagicode"


@pytest.fixture
async def hub(fake_registry: FakeRegistry) -> AsyncIterator[FakeHub]:
    """The web API in front of the demo registry."""
    async with FakeHub(fake_registry.store) as running:
        yield running


async def _tags(hub: FakeHub, **query: object) -> dict[str, Any]:
    address = f"{hub.url}/v2/namespaces/newbe36524/repositories/hagicode/tags"
    async with plain_client() as client:
        answer = await client.get(address, params={k: str(v) for k, v in query.items()})
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


async def test_a_tag_has_its_digest_its_push_and_its_images() -> None:
    image = attested("hub")
    pushed_at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    store = Store(lambda: pushed_at)
    async with FakeRegistry(store=store) as registry, FakeHub(store) as hub:
        await push(registry.url, NAME, "0.1", image)
        (row,) = (await _tags(hub))["results"]
    assert (row["name"], row["digest"]) == ("0.1", image.digest)
    assert row["tag_last_pushed"] == "2026-03-01T12:30:00.000000Z"
    assert [(item["os"], item["architecture"], item["digest"]) for item in row["images"]] == [
        ("linux", "amd64", image.children[0].digest),
        ("linux", "arm64", image.children[1].digest),
        ("unknown", "unknown", image.children[2].digest),
        ("unknown", "unknown", image.children[3].digest),
    ]
    assert row["full_size"] == sum(item["size"] for item in row["images"])


async def test_pages_are_newest_first_and_at_most_a_hundred(
    fake_registry: FakeRegistry, hub: FakeHub
) -> None:
    tags = [f"1.{number}" for number in range(120)]
    await push(fake_registry.url, NAME, tags, single("hub", sizes=[8]))
    await push(fake_registry.url, NAME, "1.0", single("moved", sizes=[8]))
    page = await _tags(hub, page_size=1000, ordering="last_updated")
    newest = ["1.0", *reversed(tags[1:])]
    assert page["count"] == 120
    assert [row["name"] for row in page["results"]] == newest[:100]
    assert page["previous"] is None
    async with plain_client() as client:
        following = (await client.get(page["next"])).json()
    assert [row["name"] for row in following["results"]] == newest[100:]
    assert following["next"] is None
    assert (await _tags(hub, ordering="name", page_size=3))["results"][0]["name"] == "1.0"


async def test_a_release_moves_its_floating_tags(fake_registry: FakeRegistry, hub: FakeHub) -> None:
    for version in ("0.1.0-beta.77", "0.1.0-beta.78"):
        made = release(version)
        await push(fake_registry.url, NAME, made.tags, made.image)
    rows = {row["name"]: row for row in (await _tags(hub, page_size=100))["results"]}
    assert set(rows) == {"0.1.0-beta.77", "0.1.0-beta.78", "0.1.0", "0.1", "0", "latest"}
    assert rows["latest"]["digest"] == rows["0.1.0-beta.78"]["digest"]
    assert rows["0.1.0-beta.77"]["digest"] != rows["latest"]["digest"]


async def test_a_deleted_tag_is_no_longer_listed(fake_registry: FakeRegistry, hub: FakeHub) -> None:
    await push(fake_registry.url, NAME, "old", single("old"))
    await push(fake_registry.url, NAME, "new", single("new"))
    await delete_tag(fake_registry.url, NAME, "old")
    assert [row["name"] for row in (await _tags(hub))["results"]] == ["new"]


async def test_what_was_pushed_before_is_there_too(fake_registry: FakeRegistry) -> None:
    await push(fake_registry.url, NAME, "early", single("early"))
    async with FakeHub(fake_registry.store) as hub:
        assert (await _tags(hub))["count"] == 1


async def test_lists_lag_miss_tags_and_hold_stale_digests(
    fake_registry: FakeRegistry, hub: FakeHub
) -> None:
    await push(fake_registry.url, NAME, ["a", "b"], single("hub"))
    hub.behaviour = HubBehaviour(hidden=frozenset({"a"}), stale={"b": "sha256:" + "0" * 64})
    (row,) = (await _tags(hub))["results"]
    assert (row["name"], row["digest"]) == ("b", "sha256:" + "0" * 64)
    hub.behaviour = HubBehaviour(lag=timedelta(minutes=5))
    assert (await _tags(hub))["count"] == 0
    hub.behaviour = HubBehaviour(digests=False, image_digests=False)
    (row, _) = (await _tags(hub))["results"]
    assert row["digest"] is None
    assert row["images"][0]["digest"] is None


async def test_requests_are_counted_down_to_429(fake_registry: FakeRegistry) -> None:
    await push(fake_registry.url, NAME, "a", single("hub"))
    limited = HubBehaviour(rate_limit=2)
    async with (
        FakeHub(fake_registry.store, limited, now=lambda: 1_000.0) as hub,
        plain_client() as client,
    ):
        address = f"{hub.url}/v2/namespaces/newbe36524/repositories/hagicode/tags"
        answers = [await client.get(address) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[0].headers["X-RateLimit-Limit"] == "2"
    # Seen holding a unix timestamp.
    assert answers[2].headers["Retry-After"] == "1060"


async def test_the_repository_has_its_pull_count(fake_registry: FakeRegistry, hub: FakeHub) -> None:
    image = single("hub")
    await push(fake_registry.url, NAME, "a", image)
    hub.behaviour = replace(hub.behaviour, pull_counts={NAME: 1000})
    async with plain_client() as client:
        accept = {"Accept": image.root.media_type}
        await client.get(f"{fake_registry.url}/v2/{NAME}/manifests/a", headers=accept)
        for path in ("namespaces/newbe36524/repositories/hagicode", f"repositories/{NAME}/"):
            answer = await client.get(f"{hub.url}/v2/{path}")
            assert answer.json()["pull_count"] == 1001
        absent = await client.get(f"{hub.url}/v2/namespaces/newbe36524/repositories/none")
        assert absent.status_code == 404


async def test_pushes_to_another_registry_can_be_listed() -> None:
    async with FakeHub() as hub:
        for number, name in enumerate(("a", "b")):
            pushed_at = datetime(2026, 1, 1 + number, tzinfo=UTC)
            hub.pushed(NAME, HubRow(name, f"sha256:{number:064}", "type", pushed_at))
        assert [row["name"] for row in (await _tags(hub))["results"]] == ["b", "a"]
        hub.deleted(NAME, "b")
        assert [row["name"] for row in (await _tags(hub))["results"]] == ["a"]
