"""What Debian's docker-registry 2.8 does differently from the specification, and our imitation.

Both get the same requests: the switches of quirks.DISTRIBUTION_2_8 must match the real one.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest

from flows.local.sample_registry.content import Image
from flows.local.sample_registry.images import single
from tests.support.fake_registry.oddities import sha512_blobs, sha512_manifests
from tests.support.fake_registry.push import plain_client, push
from tests.support.fake_registry.quirks import DISTRIBUTION_2_8
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.registry_process import DockerRegistry
from tests.support.snapshot import digest_of

BINARY = {"Content-Type": "application/octet-stream"}
IMAGE = single("distribution")


@pytest.fixture(params=["docker-registry", "demo"])
async def url(
    request: pytest.FixtureRequest, shared_docker_registry: DockerRegistry
) -> AsyncIterator[str]:
    """The base address of the real one, or of the imitation."""
    if request.param == "docker-registry":
        yield shared_docker_registry.url
        return
    async with FakeRegistry(DISTRIBUTION_2_8) as registry:
        yield registry.url


@pytest.fixture
async def repository(url: str) -> str:
    """Address of a fresh repository with three tags."""
    name = f"distribution/{uuid.uuid4().hex[:8]}"
    await push(url, name, ["a", "b", "c"], IMAGE)
    return f"{url}/v2/{name}"


async def test_paging_is_ignored(repository: str) -> None:
    async with plain_client() as client:
        answer = await client.get(f"{repository}/tags/list", params={"n": 1, "last": "a"})
    assert sorted(answer.json()["tags"]) == ["a", "b", "c"]
    assert "Link" not in answer.headers


async def test_a_tag_cannot_be_deleted_by_name(repository: str) -> None:
    async with plain_client() as client:
        answer = await client.delete(f"{repository}/manifests/a")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "DIGEST_INVALID"


async def test_a_single_post_opens_a_session_and_keeps_nothing(repository: str) -> None:
    async with plain_client() as client:
        digest = digest_of(b"single")
        answer = await client.post(
            f"{repository}/blobs/uploads/", params={"digest": digest}, content=b"single"
        )
        assert (answer.status_code, answer.headers["Range"]) == (202, "0-0")
        assert (await client.head(f"{repository}/blobs/{digest}")).status_code == 404


async def test_locations_are_absolute(repository: str) -> None:
    async with plain_client() as client:
        answer = await client.post(f"{repository}/blobs/uploads/")
    assert answer.headers["Location"].startswith(repository)


async def test_the_order_of_chunks_is_not_checked(repository: str) -> None:
    async with plain_client() as client:
        opened = await client.post(f"{repository}/blobs/uploads/")
        answer = await client.patch(
            opened.headers["Location"],
            content=b"chunk",
            headers={**BINARY, "Content-Range": "100-104"},
        )
        assert (answer.status_code, answer.headers["Range"]) == (202, "0-4")


async def test_a_broken_patch_ends_the_session(repository: str) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield bytes(3_000_000)
        await asyncio.sleep(0.2)
        raise ConnectionAbortedError

    async with plain_client() as client:
        opened = await client.post(f"{repository}/blobs/uploads/")
        location = opened.headers["Location"]
        with suppress(ConnectionAbortedError, httpx.HTTPError):
            await client.patch(
                location, content=breaks(), headers={**BINARY, "Content-Length": "9000000"}
            )
        await asyncio.sleep(0.1)
        status = await client.get(location)
        assert status.status_code == 404
        assert status.json()["errors"][0]["code"] == "BLOB_UPLOAD_INVALID"


async def test_there_are_no_referrers(url: str, repository: str) -> None:
    subject = IMAGE.root.descriptor()
    referrer: Image = single("referrer", subject=subject)
    name = repository.removeprefix(f"{url}/v2/")
    await push(url, name, "referrer", referrer)
    async with plain_client() as client:
        answer = await client.put(
            f"{repository}/manifests/referrer",
            content=referrer.root.raw,
            headers={"Content-Type": referrer.root.media_type},
        )
        assert answer.status_code == 201
        assert "OCI-Subject" not in answer.headers
        assert (await client.get(f"{repository}/referrers/{IMAGE.digest}")).status_code == 404


async def test_manifests_are_named_by_sha256_and_blobs_by_either(url: str) -> None:
    name = f"sha512/{uuid.uuid4().hex[:8]}"
    await push(url, name, "blobs", sha512_blobs("distribution"))
    with pytest.raises(httpx.HTTPStatusError) as caught:
        await push(url, name, "manifests", sha512_manifests("distribution"))
    assert caught.value.response.status_code == 400
    assert caught.value.response.json()["errors"][0]["code"] == "DIGEST_INVALID"
