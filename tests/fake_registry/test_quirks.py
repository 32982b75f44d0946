"""Each quirk does what the fact says that it imitates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.images import attested, single
from flows.local.sample_registry.store import StoredManifest
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import MIB, Auth, Behaviour, PullQuota, Throttle
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import plain_client, push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.snapshot import blob_bytes, digest_of, snapshot

BINARY = {"Content-Type": "application/octet-stream"}


@asynccontextmanager
async def opened(behaviour: Behaviour) -> AsyncIterator[tuple[FakeRegistry, httpx.AsyncClient]]:
    """A registry with a behaviour, its authentication left out: that has its own tests."""
    behaviour = replace(behaviour, auth=Auth())
    async with FakeRegistry(behaviour) as registry, plain_client() as client:
        yield registry, client


async def _session(client: httpx.AsyncClient, url: str) -> httpx.URL:
    answer = await client.post(f"{url}/blobs/uploads/")
    assert answer.status_code == 202
    return answer.url.join(answer.headers["Location"])


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["code"]


async def test_aliyun_personal_refuses_the_empty_config_and_takes_old_attestations() -> None:
    async with opened(quirks.ALIYUN_PERSONAL) as (registry, _):
        await push(registry.url, "hagicode/app", "old", attested("aliyun"))
        with pytest.raises(httpx.HTTPStatusError) as caught:
            await push(registry.url, "hagicode/app", "new", attested("aliyun", artifacts=True))
        assert caught.value.response.status_code == 403
        error = caught.value.response.json()["errors"][0]
        assert error["code"] == "DENIED"
        assert error["message"] == f"unknown manifest class for {mediatypes.OCI_EMPTY}"


async def test_aliyun_refuses_deep_names_and_unknown_namespaces() -> None:
    async with opened(quirks.ALIYUN_PERSONAL) as (registry, client):
        deep = await client.post(f"{registry.url}/v2/hagicode/a/b/blobs/uploads/")
        assert _code(deep) == (400, "NAME_INVALID")
        absent = f"{registry.url}/v2/nobody/app/blobs"
        assert _code(await client.post(f"{absent}/uploads/")) == (403, "DENIED")
        head = await client.head(f"{absent}/{digest_of(b'')}")
        assert head.status_code == 403


async def test_aliyun_takes_one_streaming_patch_and_no_second() -> None:
    async with opened(quirks.ALIYUN_PERSONAL) as (registry, client):
        location = await _session(client, f"{registry.url}/v2/hagicode/app")
        first = await client.patch(location, content=b"one", headers=BINARY)
        assert first.status_code == 202
        second = await client.patch(
            first.url.join(first.headers["Location"]), content=b"two", headers=BINARY
        )
        assert second.status_code == 405


async def test_aliyun_enterprise_takes_artifacts() -> None:
    async with opened(quirks.ALIYUN_ENTERPRISE) as (registry, _):
        await push(registry.url, "hagicode/app", "new", attested("aliyun", artifacts=True))
        assert (await snapshot(registry.url, "hagicode/app")).whole


async def test_harbor_denies_what_is_outside_of_its_projects() -> None:
    async with opened(quirks.HARBOR) as (registry, client):
        answer = await client.post(f"{registry.url}/v2/nobody/app/blobs/uploads/")
        assert _code(answer) == (403, "DENIED")
        await push(registry.url, "library/deep/app", "1", single("harbor"))


async def test_azure_wants_chunks_with_a_plain_content_range() -> None:
    async with opened(quirks.AZURE) as (registry, client):
        url = f"{registry.url}/v2/hagicode"

        async def patch(**headers: str) -> httpx.Response:
            location = await _session(client, url)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.patch(location, content=b"chunk", headers={**BINARY, **named})

        assert (await patch()).status_code == 400
        assert (await patch(Content_Range="bytes 0-4/*")).status_code == 416
        assert (await patch(Content_Range="0-4")).status_code == 202
        empty = await client.patch(
            await _session(client, url), content=b"", headers={**BINARY, "Content-Range": "0-0"}
        )
        assert empty.status_code == 400


async def test_azure_refuses_chunked_transfer_and_large_monolithic_puts() -> None:
    async def streamed() -> AsyncIterator[bytes]:
        yield b"chunk"

    async with opened(quirks.AZURE) as (registry, client):
        url = f"{registry.url}/v2/hagicode"
        location = await _session(client, url)
        answer = await client.put(
            location.copy_merge_params({"digest": digest_of(b"chunk")}), content=streamed()
        )
        assert answer.status_code == 400
        large = bytes(21_000_000)
        location = await _session(client, url)
        answer = await client.put(
            location.copy_merge_params({"digest": digest_of(large)}), content=large
        )
        assert answer.status_code == 413


async def test_azure_throttles_writes_by_the_minute() -> None:
    behaviour = replace(quirks.AZURE, throttle=Throttle(reads=3, writes=2))
    async with opened(behaviour) as (registry, client):
        url = f"{registry.url}/v2/hagicode"
        for _ in range(2):
            await _session(client, url)
        answer = await client.post(f"{url}/blobs/uploads/")
        assert _code(answer) == (429, "TOOMANYREQUESTS")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        reads = [await client.head(f"{url}/manifests/none") for _ in range(4)]
        assert [answer.status_code for answer in reads] == [404, 404, 404, 429]


async def test_hub_counts_manifest_gets_and_reports_what_is_left() -> None:
    behaviour = replace(quirks.DOCKER_HUB, quota=PullQuota(limit=2))
    image = single("hub")
    async with opened(behaviour) as (registry, client):
        await push(registry.url, "newbe36524/hagicode", "1", image)
        url = f"{registry.url}/v2/newbe36524/hagicode/manifests/1"
        accept = {"Accept": mediatypes.OCI_MANIFEST}
        head = await client.head(url, headers=accept)
        assert head.headers["ratelimit-limit"] == "2;w=21600"
        assert head.headers["ratelimit-remaining"] == "2;w=21600"
        assert head.headers["docker-ratelimit-source"] == "127.0.0.1"
        left = [(await client.get(url, headers=accept)).headers for _ in range(2)]
        assert [headers["ratelimit-remaining"] for headers in left] == ["1;w=21600", "0;w=21600"]
        over = await client.get(url, headers=accept)
        assert _code(over) == (429, "TOOMANYREQUESTS")
        assert (await client.head(url, headers=accept)).status_code == 200


async def test_hub_counts_who_is_logged_in_apart() -> None:
    behaviour = replace(quirks.DOCKER_HUB, quota=PullQuota(limit=10, logged_in=20))
    async with FakeRegistry(behaviour) as registry, plain_client() as client:
        image = single("hub")
        stored = StoredManifest(image.root.raw, image.root.media_type, image.digest)
        registry.store.add_manifest("library/app", stored, "1")

        async def pull(login: tuple[str, str] | None) -> httpx.Headers:
            token = await client.get(
                f"{registry.token_server.url}/token",
                params={"scope": "repository:library/app:pull"},
                auth=login or httpx.USE_CLIENT_DEFAULT,
            )
            headers = {
                "Authorization": f"Bearer {token.json()['token']}",
                "Accept": mediatypes.ACCEPT,
            }
            url = f"{registry.url}/v2/library/app/manifests/1"
            return (await client.get(url, headers=headers)).headers

        anonymous = await pull(None)
        known = await pull((quirks.USERNAME, quirks.PASSWORD))
        assert anonymous["ratelimit-remaining"] == "9;w=21600"
        assert known["ratelimit-remaining"] == "19;w=21600"
        assert known["docker-ratelimit-source"] == quirks.USERNAME


async def test_hub_sends_blobs_from_another_host() -> None:
    image = single("hub")
    digest, content = next(iter(image.blobs.items()))
    async with opened(quirks.DOCKER_HUB) as (registry, client):
        await push(registry.url, "newbe36524/hagicode", "1", image)
        registry.exchanges.clear()
        url = f"{registry.url}/v2/newbe36524/hagicode/blobs/{digest}"
        redirect = await client.get(url, follow_redirects=False)
        assert redirect.status_code == 307
        address = httpx.URL(redirect.headers["Location"])
        assert address.host != registry.host.partition(":")[0]
        assert (await client.get(address, headers={"Range": "bytes=1-2"})).content == content[1:3]
        assert (await client.get(address.copy_with(query=None))).status_code == 403
        assert await blob_bytes(registry.url, "newbe36524/hagicode", digest) == content
        assert [exchange.server for exchange in registry.exchanges] == [
            *("registry", "cdn", "cdn"),
            *("registry", "cdn"),
        ]


async def test_hub_stops_a_page_at_a_hundred() -> None:
    async with opened(replace(quirks.DOCKER_HUB, quota=None)) as (registry, client):
        tags = [f"1.{number:03}" for number in range(150)]
        await push(registry.url, "newbe36524/hagicode", tags, single("hub", sizes=[8]))
        url = f"{registry.url}/v2/newbe36524/hagicode/tags/list"
        first = await client.get(url, params={"n": 1000})
        assert first.json()["tags"] == tags[:100]
        rest = await client.get(first.url.join(first.links["next"]["url"]))
        assert (rest.json()["tags"], "next" in rest.links) == (tags[100:], False)
        held = await snapshot(registry.url, "newbe36524/hagicode")
        assert list(held.tags) == tags


async def test_ghcr_limits_a_chunk_to_four_mebibytes_and_not_a_stream() -> None:
    large = bytes(4 * MIB + 1)
    async with opened(quirks.GHCR) as (registry, client):
        location = await _session(client, f"{registry.url}/v2/hagicode")
        ranged = {**BINARY, "Content-Range": f"0-{len(large) - 1}"}
        answer = await client.patch(location, content=large, headers=ranged)
        assert _code(answer) == (416, "REQUESTED_RANGE_NOT_SATISFIABLE")
        location = await _session(client, f"{registry.url}/v2/hagicode")
        assert (await client.patch(location, content=large, headers=BINARY)).status_code == 202


async def test_large_chunks_are_demanded_of_all_but_the_last() -> None:
    async with opened(quirks.LARGE_CHUNKS) as (registry, client):
        opened_ = await client.post(f"{registry.url}/v2/app/blobs/uploads/")
        assert opened_.headers["OCI-Chunk-Min-Length"] == str(5 * MIB)
        last = await client.patch(
            opened_.url.join(opened_.headers["Location"]), content=b"short", headers=BINARY
        )
        another = await client.patch(
            last.url.join(last.headers["Location"]), content=b"another", headers=BINARY
        )
        assert _code(another) == (400, "BLOB_UPLOAD_INVALID")


@pytest.mark.parametrize("artifacts", [False, True])
async def test_attestations_may_be_refused_as_invalid(artifacts: bool) -> None:
    async with opened(quirks.REFUSES_ATTESTATIONS) as (registry, _):
        await push(registry.url, "app", "plain", multi_platform("plain"))
        with pytest.raises(httpx.HTTPStatusError) as caught:
            await push(registry.url, "app", "attested", attested("app", artifacts=artifacts))
        assert _code(caught.value.response) == (400, "MANIFEST_INVALID")


async def test_head_may_lack_the_digest() -> None:
    async with opened(quirks.NO_DIGEST_ON_HEAD) as (registry, client):
        image = single("app")
        await push(registry.url, "app", "1", image)
        url = f"{registry.url}/v2/app/manifests/1"
        accept = {"Accept": mediatypes.OCI_MANIFEST}
        head = await client.head(url, headers=accept)
        got = await client.get(url, headers=accept)
        assert "Docker-Content-Digest" not in head.headers
        assert got.headers["Docker-Content-Digest"] == image.digest


async def test_other_statuses_are_201_on_patch_and_204_on_put() -> None:
    async with opened(quirks.OTHER_STATUSES) as (registry, client):
        location = await _session(client, f"{registry.url}/v2/app")
        patched = await client.patch(location, content=b"blob", headers=BINARY)
        location = patched.url.join(patched.headers["Location"])
        put = await client.put(location.copy_merge_params({"digest": digest_of(b"blob")}))
        assert (patched.status_code, put.status_code) == (201, 204)
        assert await blob_bytes(registry.url, "app", digest_of(b"blob")) == b"blob"
