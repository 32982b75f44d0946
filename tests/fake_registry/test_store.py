"""What the fake registry holds, and what it costs to hold it."""

from __future__ import annotations

import time
from dataclasses import replace

from flows.local.sample_registry.content import Content, Image, manifest
from flows.local.sample_registry.images import AMD64, EMPTY, single
from flows.local.sample_registry.store import Push
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.push import plain_client, push
from tests.support.fake_registry.quirks import SPECIFICATION
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fake_registry.store import SPOOL_AT, SpooledBlob, SpooledUpload, SpoolingStore
from tests.support.snapshot import blob_bytes, digest_of


async def test_large_blobs_are_files_that_go_with_the_registry() -> None:
    content = Content.of(bytes(range(256)) * (SPOOL_AT // 256 + 1), "application/octet-stream")
    image = Image(
        manifest(EMPTY, [content]),
        blobs={EMPTY.digest: EMPTY.raw, content.digest: content.raw},
    )
    async with FakeRegistry() as registry:
        await push(registry.url, "app", "1", image)
        blob = registry.store.blobs[content.digest]
        assert isinstance(blob, SpooledBlob)
        file = blob.path
        assert file.stat().st_size == len(content.raw)
        assert await blob_bytes(registry.url, "app", content.digest) == content.raw
        assert registry.store.blobs[EMPTY.digest].content == EMPTY.raw
    assert not file.exists()


async def test_a_large_upload_that_hashes_otherwise_leaves_no_file() -> None:
    async with FakeRegistry() as registry, plain_client() as client:
        opened = await client.post(f"{registry.url}/v2/app/blobs/uploads/")
        location = opened.url.join(opened.headers["Location"])
        upload = registry.store.repository("app").uploads[location.path.rpartition("/")[2]]
        assert isinstance(upload, SpooledUpload)
        folder = upload.folder()
        query = {"digest": digest_of(b"other")}
        answer = await client.put(location.copy_merge_params(query), content=bytes(SPOOL_AT + 1))
        assert answer.status_code == 400
        assert list(folder.iterdir()) == []


async def test_listeners_hear_of_every_push_and_its_tag(fake_registry: FakeRegistry) -> None:
    heard: list[Push] = []
    fake_registry.store.listeners.append(heard.append)
    image = single("heard", AMD64)
    await push(fake_registry.url, "app", ["1", "latest"], image)
    assert [(push.repository, push.tag, push.manifest.digest) for push in heard] == [
        ("app", "1", image.digest),
        ("app", "latest", image.digest),
    ]


async def test_a_store_outlives_the_registry_that_served_it() -> None:
    store, image = SpoolingStore(), single("restart")
    async with FakeRegistry(store=store) as registry:
        await push(registry.url, "app", "1", image)
    async with FakeRegistry(store=store), FakeRegistry(store=store) as again:
        async with plain_client() as client:
            answer = await client.get(f"{again.url}/v2/app/tags/list")
        assert answer.json()["tags"] == ["1"]
    store.close()


async def test_latency_is_added_to_every_answer() -> None:
    slow: Behaviour = replace(SPECIFICATION, latency=0.1)
    async with FakeRegistry(slow) as registry, plain_client() as client:
        began = time.monotonic()
        await client.get(f"{registry.url}/v2/")
        assert time.monotonic() - began >= 0.1


async def test_pages_of_tags_are_followed_by_link(fake_registry: FakeRegistry) -> None:
    await push(fake_registry.url, "app", ["c", "a", "d", "b"], single("pages"))
    async with plain_client() as client:
        address, pages = f"{fake_registry.url}/v2/app/tags/list?n=3", []
        for _ in range(2):
            answer = await client.get(address)
            pages.append(answer.json()["tags"])
            address = str(answer.url.join(answer.links.get("next", {}).get("url", "")))
        refused = await client.get(f"{fake_registry.url}/v2/app/tags/list?n=many")
    assert pages == [["a", "b", "c"], ["d"]]
    assert "next" not in answer.links
    assert refused.status_code == 400
