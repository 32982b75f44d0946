"""What a first look and a verification cost: in requests, and in round trips."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from flows.local.sample_registry.images import single
from flows.local.sample_registry.interceptor import Interceptor
from mirror.outcome import Change, ChangeKind, CopyOutcome, KnownTag, utcnow
from mirror.registry import Endpoint, Manifest, Registry, Repository
from mirror.sync.tags.discover import discover
from mirror.sync.tags.listing import DiscoverRequest
from mirror.sync.tags.tag_rules import TagRules
from mirror.sync.verify import Verifier
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry

TAGS = [f"1.0.{number}" for number in range(20)]
REQUESTS = 3 + 6  # an index, two manifests; two configs, four layers
ROUND_TRIP = 0.1  # seconds
HANG = 30  # seconds until a test that waits for ever is stopped


@pytest.fixture
async def source() -> AsyncIterator[FakeRegistry]:
    """A registry with many tags."""
    async with FakeRegistry() as registry:
        await push(registry.url, "team/app", TAGS, single("app"))
        yield registry


@pytest.fixture
async def target() -> AsyncIterator[FakeRegistry]:
    """Another registry, empty at first."""
    async with FakeRegistry() as registry:
        yield registry


def client(registry: FakeRegistry) -> Registry:
    """A client for a registry of the demo."""
    return Registry(Endpoint(registry.host, insecure=True))


def at_target(registry: FakeRegistry) -> list[str]:
    """The requests that a look sent, as "METHOD path"."""
    return [f"{exchange.method} {exchange.path}" for exchange in registry.exchanges]


async def look(source: FakeRegistry, target: FakeRegistry, known: dict[str, KnownTag]) -> int:
    """A full look at both sides; how many tags the target was seen to hold."""
    async with client(source) as there, client(target) as here:
        found = await discover(
            DiscoverRequest(
                there.repository("team/app"),
                here.repository("copy/app"),
                TagRules(),
                known,
                full=True,
            )
        )
    assert found.target is not None
    assert set(found.target) == {*TAGS, *known}
    return sum(digest is not None for digest in found.target.values())


async def test_a_first_look_at_an_empty_target_asks_it_once(
    source: FakeRegistry, target: FakeRegistry
) -> None:
    assert await look(source, target, {}) == 0
    assert at_target(target) == ["GET /v2/copy/app/tags/list"]


async def test_a_target_that_holds_tags_is_asked_for_each(
    source: FakeRegistry, target: FakeRegistry
) -> None:
    await push(target.url, "copy/app", TAGS[:3], single("app"))
    target.exchanges.clear()
    assert await look(source, target, {}) == 3
    heads = [line for line in at_target(target) if line.startswith("HEAD")]
    assert len(heads) == len(TAGS)


async def test_a_target_that_the_record_knows_is_compared_tag_by_tag_without_its_list(
    source: FakeRegistry, target: FakeRegistry
) -> None:
    known = {TAGS[0]: KnownTag(TAGS[0], "sha256:" + "0" * 64, None, None)}
    assert await look(source, target, known) == 0
    assert all(line.startswith("HEAD") for line in at_target(target))


async def verified(target: FakeRegistry, put: dict[str, Manifest], digest: str) -> timedelta:
    """Verify the tag `1`; the time between the first and the last request."""
    change = Change("1", "1", ChangeKind.NEW, digest, None, utcnow())
    now = utcnow()
    async with client(target) as registry:
        await registry.ping()
        target.exchanges.clear()
        outcome = CopyOutcome(change, now, now, target_digest=digest)
        async with asyncio.timeout(HANG):
            verification = await Verifier(registry.repository("copy/app"), put.get).verify(outcome)
    assert verification.failure is None
    assert len(target.exchanges) == REQUESTS
    times = [exchange.at for exchange in target.exchanges]
    return max(times) - min(times)


async def manifests(repository: Repository, digest: str) -> dict[str, Manifest]:
    """An index and its children by digest."""
    root = await repository.get_manifest(digest)
    children = [await repository.get_manifest(child.digest) for child in root.children]
    return {manifest.digest: manifest for manifest in (root, *children)}


@dataclass(frozen=True)
class Together(Interceptor):
    """Answer none of the requests before all are there."""

    count: int
    came: list[None] = field(default_factory=list)
    all_there: asyncio.Event = field(default_factory=asyncio.Event)

    async def before(self) -> None:
        self.came.append(None)
        if len(self.came) >= self.count:
            self.all_there.set()
        await self.all_there.wait()


async def test_what_a_run_has_put_is_verified_in_one_round_trip(target: FakeRegistry) -> None:
    digest = await push(target.url, "copy/app", "1", multi_platform("app"))
    async with client(target) as registry:
        put = await manifests(registry.repository("copy/app"), digest)
    target.faults.add(Rule("/v2/copy/app/", Together(REQUESTS), times=REQUESTS))
    await verified(target, put, digest)


async def test_what_a_run_has_not_put_takes_a_round_trip_for_each_level(
    target: FakeRegistry,
) -> None:
    digest = await push(target.url, "copy/app", "1", multi_platform("app"))
    target.behaviour = Behaviour(latency=ROUND_TRIP)
    assert await verified(target, {}, digest) >= timedelta(seconds=2 * ROUND_TRIP)


async def test_a_blob_that_is_missing_is_seen_though_the_manifest_is_known(
    target: FakeRegistry,
) -> None:
    image = multi_platform("app")
    digest = await push(target.url, "copy/app", "1", image)
    async with client(target) as registry:
        repository = registry.repository("copy/app")
        put = await manifests(repository, digest)
        lost = put[put[digest].children[0].digest].layers[0].digest
        target.faults.add(Rule(f"(HEAD|GET) .*/blobs/{lost}", Respond(404), times=None))
        change = Change("1", "1", ChangeKind.NEW, digest, None, utcnow())
        outcome = CopyOutcome(change, utcnow(), utcnow(), target_digest=digest)
        verification = await Verifier(repository, put.get).verify(outcome)
    assert verification.failure is not None
    assert lost in verification.failure.message
