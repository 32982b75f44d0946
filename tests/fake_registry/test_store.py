"""What the demo registry holds, and what it costs to hold it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from flows.local.fake_registry.behaviour import Behaviour
from flows.local.fake_registry.content import Content, Image, manifest
from flows.local.fake_registry.images import AMD64, EMPTY, single
from flows.local.fake_registry.push import plain_client, push
from flows.local.fake_registry.quirks import SPECIFICATION
from flows.local.fake_registry.registry import DemoRegistry
from flows.local.fake_registry.store import SPOOL_AT, Push, Store
from tests.support.snapshot import blob_bytes, digest_of


async def test_large_blobs_are_files_that_go_with_the_registry() -> None:
    content = Content.of(bytes(range(256)) * (SPOOL_AT // 256 + 1), "application/octet-stream")
    image = Image(
        manifest(EMPTY, [content]),
        blobs={EMPTY.digest: EMPTY.raw, content.digest: content.raw},
    )
    async with DemoRegistry() as registry:
        await push(registry.url, "app", "1", image)
        file = registry.store.blobs[content.digest].content
        assert isinstance(file, Path)
        assert file.stat().st_size == len(content.raw)
        assert await blob_bytes(registry.url, "app", content.digest) == content.raw
        assert isinstance(registry.store.blobs[EMPTY.digest].content, bytes)
    assert not file.exists()


async def test_a_large_upload_that_hashes_otherwise_leaves_no_file() -> None:
    async with DemoRegistry() as registry, plain_client() as client:
        opened = await client.post(f"{registry.url}/v2/app/blobs/uploads/")
        location = opened.url.join(opened.headers["Location"])
        folder = registry.store.repository("app").uploads[location.path.rpartition("/")[2]].folder()
        query = {"digest": digest_of(b"other")}
        answer = await client.put(location.copy_merge_params(query), content=bytes(SPOOL_AT + 1))
        assert answer.status_code == 400
        assert list(folder.iterdir()) == []


async def test_listeners_hear_of_every_push_and_its_tag(demo_registry: DemoRegistry) -> None:
    heard: list[Push] = []
    demo_registry.store.listeners.append(heard.append)
    image = single("heard", AMD64)
    await push(demo_registry.url, "app", ["1", "latest"], image)
    assert [(push.repository, push.tag, push.manifest.digest) for push in heard] == [
        ("app", "1", image.digest),
        ("app", "latest", image.digest),
    ]


async def test_a_store_outlives_the_registry_that_served_it() -> None:
    store, image = Store(), single("restart")
    async with DemoRegistry(store=store) as registry:
        await push(registry.url, "app", "1", image)
    async with DemoRegistry(store=store), DemoRegistry(store=store) as again:
        async with plain_client() as client:
            answer = await client.get(f"{again.url}/v2/app/tags/list")
        assert answer.json()["tags"] == ["1"]
    store.close()


async def test_latency_is_added_to_every_answer() -> None:
    slow: Behaviour = replace(SPECIFICATION, latency=0.1)
    async with DemoRegistry(slow) as registry, plain_client() as client:
        began = time.monotonic()
        await client.get(f"{registry.url}/v2/")
        assert time.monotonic() - began >= 0.1


async def test_pages_of_tags_are_followed_by_link(demo_registry: DemoRegistry) -> None:
    await push(demo_registry.url, "app", ["c", "a", "d", "b"], single("pages"))
    async with plain_client() as client:
        address, pages = f"{demo_registry.url}/v2/app/tags/list?n=3", []
        for _ in range(2):
            answer = await client.get(address)
            pages.append(answer.json()["tags"])
            address = str(answer.url.join(answer.links.get("next", {}).get("url", "")))
        refused = await client.get(f"{demo_registry.url}/v2/app/tags/list?n=many")
    assert pages == [["a", "b", "c"], ["d"]]
    assert "next" not in answer.links
    assert refused.status_code == 400
