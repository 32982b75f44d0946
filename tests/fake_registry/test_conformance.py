"""One table of requests and answers, which the real docker-registry and ours both have to keep."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.images import attested
from tests.fake_registry.conformance_table import (
    ABSENT,
    ALONE,
    BLOB,
    CONTENT,
    DOCKER,
    IMAGE,
    TABLE,
    Row,
)
from tests.support.fake_registry.push import plain_client, push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.registry_process import DockerRegistry
from tests.support.snapshot import blob_bytes, digest_of, snapshot


@pytest.fixture(scope="module", params=["docker-registry", "demo"])
async def url(
    request: pytest.FixtureRequest, shared_docker_registry: DockerRegistry
) -> AsyncIterator[str]:
    """The base address of the registry that is asked."""
    if request.param == "docker-registry":
        yield shared_docker_registry.url
        return
    async with FakeRegistry() as registry:
        yield registry.url


async def filled(url: str) -> str:
    """A fresh repository with three images."""
    name = f"conformance/{uuid.uuid4().hex[:8]}"
    await push(url, name, "oci", IMAGE)
    await push(url, name, "docker", DOCKER)
    await push(url, name, "alone", ALONE)
    return name


@pytest.fixture(scope="module")
async def shared(url: str) -> str:
    """One repository for all rows of the table."""
    return await filled(url)


@pytest.fixture
async def repository(url: str) -> str:
    """A repository that the test may change."""
    return await filled(url)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.says)
async def test_both_answer_alike(row: Row, url: str, shared: str) -> None:
    async with plain_client() as client:
        address = f"{url}/v2/{shared}/{row.path}"
        answer = await client.request(row.method, address, content=row.sends, headers=row.headers)
    assert answer.status_code == row.status
    for name, value in row.answers.items():
        assert answer.headers[name] == value
    if row.code is not None:
        assert answer.json()["errors"][0]["code"] == row.code
    if row.body is not None:
        assert answer.content == row.body


async def test_both_read_several_accept_headers(url: str, repository: str) -> None:
    accepts = [("Accept", kind) for kind in (mediatypes.DOCKER_LIST, mediatypes.OCI_INDEX)]
    async with plain_client() as client:
        for headers in (accepts, accepts[::-1]):
            answer = await client.get(f"{url}/v2/{repository}/manifests/oci", headers=headers)
            assert answer.content == IMAGE.root.raw


async def test_both_list_all_tags(url: str, repository: str) -> None:
    """In whatever order: docker-registry 2.8 does not sort, and ignores `n` and `last`."""
    async with plain_client() as client:
        answer = await client.get(f"{url}/v2/{repository}/tags/list")
    assert answer.json()["name"] == repository
    assert sorted(answer.json()["tags"]) == ["alone", "docker", "oci"]


async def test_both_go_on_with_a_session_only_from_its_newest_location(
    url: str, repository: str
) -> None:
    async with plain_client() as client:
        opened = await client.post(f"{url}/v2/{repository}/blobs/uploads/")
        first = opened.url.join(opened.headers["Location"])
        assert opened.headers["Range"] == "0-0"
        patched = await client.patch(
            first, content=b"one", headers={"Content-Type": "application/octet-stream"}
        )
        assert (patched.status_code, patched.headers["Range"]) == (202, "0-2")
        status = await client.get(patched.url.join(patched.headers["Location"]))
        assert (status.status_code, status.headers["Range"]) == (204, "0-2")
        location = status.url.join(status.headers["Location"])
        stale = await client.patch(
            first, content=b"two", headers={"Content-Type": "application/octet-stream"}
        )
        assert stale.status_code == 404
        assert stale.json()["errors"][0]["code"] == "BLOB_UPLOAD_INVALID"
        digest = digest_of(b"one-more")
        done = await client.put(location.copy_merge_params({"digest": digest}), content=b"-more")
        assert (done.status_code, done.headers["Docker-Content-Digest"]) == (201, digest)
    assert await blob_bytes(url, repository, digest) == b"one-more"


async def test_both_forget_a_session_that_is_given_up(url: str, repository: str) -> None:
    async with plain_client() as client:
        opened = await client.post(f"{url}/v2/{repository}/blobs/uploads/")
        location = opened.url.join(opened.headers["Location"])
        assert (await client.delete(location)).status_code == 204
        after = await client.get(location)
        assert after.status_code == 404
        assert after.json()["errors"][0]["code"] == "BLOB_UPLOAD_UNKNOWN"


async def test_both_refuse_content_that_hashes_otherwise(url: str, repository: str) -> None:
    async with plain_client() as client:
        opened = await client.post(f"{url}/v2/{repository}/blobs/uploads/")
        location = opened.url.join(opened.headers["Location"])
        answer = await client.put(location.copy_merge_params({"digest": ABSENT}), content=b"other")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["code"] == "DIGEST_INVALID"
        assert (await client.head(f"{url}/v2/{repository}/blobs/{ABSENT}")).status_code == 404


async def test_both_mount_a_blob_of_another_repository(url: str, repository: str) -> None:
    other = f"{repository}-mounted"
    async with plain_client() as client:
        query = {"mount": BLOB, "from": repository}
        mounted = await client.post(f"{url}/v2/{other}/blobs/uploads/", params=query)
        assert mounted.status_code == 201
        assert mounted.headers["Docker-Content-Digest"] == BLOB
        absent = await client.post(
            f"{url}/v2/{other}/blobs/uploads/", params={"mount": ABSENT, "from": repository}
        )
        assert absent.status_code == 202
        assert "/blobs/uploads/" in absent.headers["Location"]
    assert await blob_bytes(url, other, BLOB) == CONTENT


async def test_both_delete_manifests_with_their_tags_and_blobs(url: str, repository: str) -> None:
    async with plain_client() as client:
        base = f"{url}/v2/{repository}"
        assert (await client.delete(f"{base}/manifests/{ALONE.digest}")).status_code == 202
        assert (await client.head(f"{base}/manifests/alone")).status_code == 404
        assert (await client.delete(f"{base}/manifests/{ALONE.digest}")).status_code == 404
        assert (await client.delete(f"{base}/blobs/{BLOB}")).status_code == 202
        assert (await client.head(f"{base}/blobs/{BLOB}")).status_code == 404


async def test_both_take_every_kind_of_sample_image(url: str) -> None:
    name = f"kinds/{uuid.uuid4().hex[:8]}"
    kinds = {"old-attestations": attested("kinds"), "artifacts": attested("kinds", artifacts=True)}
    for tag, image in kinds.items():
        assert await push(url, name, tag, image) == image.digest
    held = await snapshot(url, name)
    assert held.whole
    assert held.tags == {tag: image.digest for tag, image in kinds.items()}


async def test_both_end_up_holding_the_same(url: str, repository: str) -> None:
    held = await snapshot(url, repository)
    assert held.whole
    assert held.tags == {"alone": ALONE.digest, "docker": DOCKER.digest, "oci": IMAGE.digest}
    pushed = {item.digest: item.raw for image in (IMAGE, DOCKER, ALONE) for item in image.manifests}
    assert {digest: raw for digest, (_, raw) in held.manifests.items()} == pushed
    sizes = {
        digest: len(raw) for image in (IMAGE, DOCKER, ALONE) for digest, raw in image.blobs.items()
    }
    assert held.blobs == sizes
