"""One table of requests and answers, which the real docker-registry and ours both have to keep."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import pytest

from flows.demo import mediatypes
from flows.demo.content import Content, json_content
from flows.demo.images import attested, multi_platform, single
from flows.demo.push import plain_client, push
from flows.demo.registry import DemoRegistry
from tests.support.registry_process import DockerRegistry
from tests.support.snapshot import blob_bytes, digest_of, snapshot

IMAGE = multi_platform("conformance")
DOCKER = multi_platform("conformance", docker=True)
ALONE = single("alone")
BLOB, CONTENT = next(iter(ALONE.blobs.items()))
ABSENT = digest_of(b"absent")
ORPHAN = json_content(
    {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "config": Content.of(b"absent", mediatypes.OCI_CONFIG).descriptor(),
        "layers": [],
    },
    mediatypes.OCI_MANIFEST,
)
CHILDLESS = json_content(
    {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_INDEX,
        "manifests": [Content.of(b"absent", mediatypes.OCI_MANIFEST).descriptor()],
    },
    mediatypes.OCI_INDEX,
)


@dataclass(frozen=True)
class Row:
    """A request below /v2/REPOSITORY and what every registry answers."""

    says: str
    method: str
    path: str
    status: int
    code: str | None = None
    sends: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


ACCEPTS_INDEX = {"Accept": mediatypes.OCI_INDEX}
TABLE = (
    Row(
        "a tag answers with type, digest and bytes",
        "GET",
        "manifests/oci",
        200,
        headers=ACCEPTS_INDEX,
        answers={
            "Content-Type": mediatypes.OCI_INDEX,
            "Docker-Content-Digest": IMAGE.digest,
            "Content-Length": str(len(IMAGE.root.raw)),
        },
        body=IMAGE.root.raw,
    ),
    Row(
        "HEAD of a tag has the same headers and no body",
        "HEAD",
        "manifests/oci",
        200,
        headers=ACCEPTS_INDEX,
        answers={
            "Content-Type": mediatypes.OCI_INDEX,
            "Docker-Content-Digest": IMAGE.digest,
            "Content-Length": str(len(IMAGE.root.raw)),
        },
        body=b"",
    ),
    Row(
        "a digest answers with the same bytes",
        "GET",
        f"manifests/{IMAGE.digest}",
        200,
        headers=ACCEPTS_INDEX,
        body=IMAGE.root.raw,
    ),
    Row(
        "a Docker list keeps its type",
        "GET",
        "manifests/docker",
        200,
        headers={"Accept": mediatypes.DOCKER_LIST},
        answers={"Content-Type": mediatypes.DOCKER_LIST, "Docker-Content-Digest": DOCKER.digest},
        body=DOCKER.root.raw,
    ),
    Row(
        "an OCI index is not found by who only accepts Docker's types",
        "GET",
        "manifests/oci",
        404,
        "MANIFEST_UNKNOWN",
        headers={"Accept": mediatypes.DOCKER_LIST},
    ),
    Row(
        "an OCI index is not found by who accepts */*",
        "GET",
        "manifests/oci",
        404,
        "MANIFEST_UNKNOWN",
        headers={"Accept": "*/*"},
    ),
    Row("a tag that is not there", "GET", "manifests/none", 404, "MANIFEST_UNKNOWN"),
    Row("HEAD of a tag that is not there", "HEAD", "manifests/none", 404),
    Row("a digest that is not there", "GET", f"manifests/{ABSENT}", 404, "MANIFEST_UNKNOWN"),
    Row(
        "a manifest whose config is not there",
        "PUT",
        "manifests/orphan",
        400,
        "MANIFEST_BLOB_UNKNOWN",
        ORPHAN.raw,
        {"Content-Type": mediatypes.OCI_MANIFEST},
    ),
    Row(
        "an index whose child is not there",
        "PUT",
        "manifests/childless",
        400,
        "MANIFEST_BLOB_UNKNOWN",
        CHILDLESS.raw,
        {"Content-Type": mediatypes.OCI_INDEX},
    ),
    Row(
        "a manifest under another digest than its own",
        "PUT",
        f"manifests/{ABSENT}",
        400,
        "DIGEST_INVALID",
        ALONE.root.raw,
        {"Content-Type": mediatypes.OCI_MANIFEST},
    ),
    Row(
        "a manifest that is not JSON",
        "PUT",
        "manifests/broken",
        400,
        "MANIFEST_INVALID",
        b"{",
        {"Content-Type": mediatypes.OCI_MANIFEST},
    ),
    Row(
        "a manifest under another type than its own",
        "PUT",
        "manifests/other",
        400,
        "MANIFEST_INVALID",
        ALONE.root.raw,
        {"Content-Type": mediatypes.OCI_INDEX},
    ),
    Row(
        "a manifest whose layers are no list",
        "PUT",
        "manifests/broken",
        400,
        "MANIFEST_INVALID",
        b'{"schemaVersion": 2, "layers": "none"}',
        {"Content-Type": mediatypes.OCI_MANIFEST},
    ),
    Row(
        "a manifest again",
        "PUT",
        "manifests/again",
        201,
        sends=ALONE.root.raw,
        headers={"Content-Type": mediatypes.OCI_MANIFEST},
        answers={"Docker-Content-Digest": ALONE.digest},
    ),
    Row(
        "a blob",
        "GET",
        f"blobs/{BLOB}",
        200,
        answers={"Docker-Content-Digest": BLOB, "Content-Length": str(len(CONTENT))},
        body=CONTENT,
    ),
    Row(
        "HEAD of a blob",
        "HEAD",
        f"blobs/{BLOB}",
        200,
        answers={"Content-Length": str(len(CONTENT))},
        body=b"",
    ),
    Row(
        "a range of a blob",
        "GET",
        f"blobs/{BLOB}",
        206,
        headers={"Range": "bytes=10-19"},
        answers={"Content-Range": f"bytes 10-19/{len(CONTENT)}", "Content-Length": "10"},
        body=CONTENT[10:20],
    ),
    Row(
        "the rest of a blob",
        "GET",
        f"blobs/{BLOB}",
        206,
        headers={"Range": "bytes=100-"},
        answers={"Content-Range": f"bytes 100-{len(CONTENT) - 1}/{len(CONTENT)}"},
        body=CONTENT[100:],
    ),
    Row("a blob that is not there", "GET", f"blobs/{ABSENT}", 404, "BLOB_UNKNOWN"),
    Row("HEAD of a blob that is not there", "HEAD", f"blobs/{ABSENT}", 404),
    Row(
        "a session without the state that its Location carries",
        "PATCH",
        f"blobs/uploads/{uuid.uuid4()}",
        404,
        "BLOB_UPLOAD_INVALID",
        b"x",
    ),
)


@pytest.fixture(scope="module", params=["docker-registry", "demo"])
async def url(
    request: pytest.FixtureRequest, shared_docker_registry: DockerRegistry
) -> AsyncIterator[str]:
    """The base address of the registry that is asked."""
    if request.param == "docker-registry":
        yield shared_docker_registry.url
        return
    async with DemoRegistry() as registry:
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
