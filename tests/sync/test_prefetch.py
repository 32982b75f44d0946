"""Prefetched requests: sent once, bounded, and never the reason why something fails."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from flows.local.sample_registry.images import single
from mirror.outcome import Discovery, KnownTag
from mirror.registry import Endpoint, NotFound, Registry, Repository
from mirror.sync.tags.discover import discover
from mirror.sync.tags.image_rules import ImageRules
from mirror.sync.tags.listing import DiscoverRequest
from mirror.sync.tags.prefetch import Prefetch
from mirror.sync.tags.tag_rules import TagRules
from tests.support.fake_registry.behaviour import Behaviour, PullQuota
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry


@pytest.fixture
async def source() -> AsyncIterator[FakeRegistry]:
    """A registry."""
    async with FakeRegistry() as registry:
        yield registry


@pytest.fixture
async def there(source: FakeRegistry) -> AsyncIterator[Repository]:
    """Its repository, by a client."""
    async with Registry(Endpoint(source.host, insecure=True)) as registry:
        yield registry.repository("team/app")


async def look(
    there: Repository, prefetch: Prefetch | None, known: dict[str, KnownTag] | None = None
) -> Discovery:
    """Discover what the source holds, for a target that the record knows."""
    known = known or {"old": KnownTag("old", "sha256:" + "0" * 64, None, None)}
    return await discover(DiscoverRequest(there, there, TagRules(), known, full=False), prefetch)


def asked(source: FakeRegistry, method: str) -> list[str]:
    """The manifests that were asked for, by the end of their paths."""
    return [
        exchange.path.rpartition("/")[2]
        for exchange in source.exchanges
        if exchange.method == method and "/manifests/" in exchange.path
    ]


async def test_a_new_tag_is_read_once_for_discovery_and_copy(
    source: FakeRegistry, there: Repository
) -> None:
    image = multi_platform("app")
    digest = await push(source.url, "team/app", "1.0", image)
    source.exchanges.clear()
    async with Prefetch(there, there, images=ImageRules()) as prefetch:
        found = await look(there, prefetch)
        assert [(tag.name, tag.digest) for tag in found.tags] == [("1.0", digest)]
        manifest = await prefetch.manifest(digest)
        children = [await prefetch.manifest(child.digest) for child in manifest.children]
    assert manifest.digest == digest
    assert [child.digest for child in children] == [one.digest for one in manifest.children]
    assert asked(source, "HEAD") == ["1.0"]
    assert sorted(asked(source, "GET")) == sorted([digest, *(one.digest for one in children)])


async def test_a_new_tag_needs_no_head_where_reads_are_known_to_cost_nothing(
    source: FakeRegistry, there: Repository
) -> None:
    image = multi_platform("app")
    digest = await push(source.url, "team/app", "1.0", image)
    there.registry.capabilities.counts_pulls = False
    source.exchanges.clear()
    async with Prefetch(there, there, images=ImageRules()) as prefetch:
        found = await look(there, prefetch)
        assert [(tag.name, tag.digest) for tag in found.tags] == [("1.0", digest)]
        manifest = await prefetch.manifest(digest)
        children = [await prefetch.manifest(child.digest) for child in manifest.children]
    assert asked(source, "HEAD") == []
    assert sorted(asked(source, "GET")) == sorted(["1.0", *(one.digest for one in children)])


async def test_at_docker_hub_a_new_tag_is_always_looked_at_first() -> None:
    async with Registry(Endpoint("docker.io")) as hub:
        hub.capabilities.counts_pulls = False
        assert hub.counts_pulls


async def test_a_platform_that_is_not_wanted_is_not_read_ahead(
    source: FakeRegistry, there: Repository
) -> None:
    digest = await push(source.url, "team/app", "1.0", multi_platform("app"))
    source.exchanges.clear()
    async with Prefetch(there, there, images=ImageRules(platforms=("linux/arm64",))) as prefetch:
        prefetch.read_manifests([digest])
        manifest = await prefetch.manifest(digest)
        wanted = [one for one in manifest.children if str(one.platform).startswith("linux/arm64")]
        await prefetch.manifest(wanted[0].digest)
    assert sorted(asked(source, "GET")) == sorted([digest, wanted[0].digest])


async def test_nothing_is_read_ahead_where_pulls_are_counted() -> None:
    async with FakeRegistry(Behaviour(quota=PullQuota(100))) as hub:
        await push(hub.url, "team/app", [f"1.0.{number}" for number in range(20)], single("app"))
        hub.exchanges.clear()
        async with Registry(Endpoint(hub.host, insecure=True)) as registry:
            repository = registry.repository("team/app")
            async with Prefetch(repository, repository, images=ImageRules()) as prefetch:
                found = await look(repository, prefetch)
            assert registry.quota is not None
    assert len(found.tags) == 20
    assert asked(hub, "GET") == []


async def test_a_tag_that_is_known_and_a_look_that_copies_nothing_read_nothing(
    source: FakeRegistry, there: Repository
) -> None:
    digest = await push(source.url, "team/app", "1.0", single("app"))
    source.exchanges.clear()
    async with Prefetch(there, there, images=ImageRules()) as prefetch:
        await look(there, prefetch, {"1.0": KnownTag("1.0", digest, None, None)})
    await look(there, None)
    assert asked(source, "GET") == []


async def test_a_manifest_that_cannot_be_read_is_a_failure_of_its_copy_alone(
    source: FakeRegistry, there: Repository
) -> None:
    digest = await push(source.url, "team/app", ["1.0", "2.0"], single("app"))
    source.faults.add(Rule("GET .*/manifests/", Respond(404, "MANIFEST_UNKNOWN"), times=None))
    async with Prefetch(there, there, images=ImageRules()) as prefetch:
        found = await look(there, prefetch)
        assert {tag.name for tag in found.tags} == {"1.0", "2.0"}, "by HEAD"
        assert not found.failed
        there.registry.capabilities.counts_pulls = False
    async with Prefetch(there, there, images=ImageRules()) as prefetch:
        found = await look(there, prefetch)
        assert {tag.name for tag in found.tags} == {"1.0", "2.0"}, "by HEAD, after GET failed"
        assert not found.failed
        prefetch.read_manifests([digest])
        with pytest.raises(NotFound):
            await prefetch.manifest(digest)


async def test_what_is_begun_and_not_wanted_ends_with_it(
    source: FakeRegistry, there: Repository
) -> None:
    before = asyncio.all_tasks()
    async with Prefetch(there, there, images=ImageRules()) as prefetch:
        prefetch.read_manifests(["sha256:" + "1" * 64])
        prefetch.connect(there, 4)
    assert asyncio.all_tasks() == before


async def test_what_fails_and_nobody_asks_for_is_not_complained_of(there: Repository) -> None:
    heard: list[dict[str, object]] = []
    before = asyncio.all_tasks()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    async with Prefetch(there, there, images=ImageRules()) as prefetch:
        prefetch.read_manifests(["sha256:" + "1" * 64])  # there is no such manifest
        await asyncio.wait(asyncio.all_tasks() - before)
    del prefetch
    gc.collect()
    assert heard == []


async def test_connections_are_opened_without_a_request_and_used_by_those_that_follow() -> None:
    opened, asked = 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened, asked
        opened += 1
        while await reader.readline():
            while (await reader.readline()).strip():
                continue
            asked += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Registry(Endpoint(f"127.0.0.1:{port}", insecure=True)) as registry:
        await registry.connect(4)
        assert (opened, asked, registry.requests) == (4, 0, 0)
        digests = [f"sha256:{number:064}" for number in range(4)]
        sizes = [registry.repository("a/b").head_blob(digest) for digest in digests]
        assert await asyncio.gather(*sizes) == [7] * 4
        assert (opened, asked) == (4, 4)


async def test_a_registry_that_is_not_there_is_told_by_the_request_not_before() -> None:
    async with Registry(Endpoint("127.0.0.1:9", insecure=True)) as registry:
        await registry.connect(2)
        assert registry.requests == 0
