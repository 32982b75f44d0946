"""What distribution-spec v1.1 allows or asks for and docker-registry 2.8 does not do."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.images import single
from tests.support.fake_registry.behaviour import Auth, Behaviour, Scheme
from tests.support.fake_registry.push import plain_client, push
from tests.support.fake_registry.quirks import ALIYUN_PERSONAL
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.snapshot import blob_bytes, digest_of

BINARY = {"Content-Type": "application/octet-stream"}
IMAGE = single("specification")
DIGEST, CONTENT = next(iter(IMAGE.blobs.items()))


@pytest.fixture
async def url(fake_registry: FakeRegistry) -> str:
    """A repository with one tag."""
    await push(fake_registry.url, "app", "1", IMAGE)
    return f"{fake_registry.url}/v2/app"


async def test_a_blob_in_a_single_post(url: str, fake_registry: FakeRegistry) -> None:
    async with plain_client() as client:
        query = {"digest": digest_of(b"single")}
        answer = await client.post(f"{url}/blobs/uploads/", params=query, content=b"single")
        wrong = await client.post(f"{url}/blobs/uploads/", params=query, content=b"other")
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v2/app/blobs/{query['digest']}"
    assert wrong.status_code == 400
    assert await blob_bytes(fake_registry.url, "app", query["digest"]) == b"single"


async def test_a_chunk_out_of_order_is_416_with_where_to_go_on(url: str) -> None:
    async with plain_client() as client:
        opened = await client.post(f"{url}/blobs/uploads/")
        first = await client.patch(
            opened.url.join(opened.headers["Location"]),
            content=b"first",
            headers={**BINARY, "Content-Range": "0-4"},
        )
        wrong = await client.patch(
            first.url.join(first.headers["Location"]),
            content=b"third",
            headers={**BINARY, "Content-Range": "10-14"},
        )
        assert (wrong.status_code, wrong.headers["Range"]) == (416, "0-4")
        right = await client.patch(
            wrong.url.join(wrong.headers["Location"]),
            content=b"second",
            headers={**BINARY, "Content-Range": "5-10"},
        )
        assert (right.status_code, right.headers["Range"]) == (202, "0-10")


async def test_a_range_past_the_end_is_416(url: str) -> None:
    async with plain_client() as client:
        beyond = {"Range": f"bytes={len(CONTENT)}-"}
        answer = await client.get(f"{url}/blobs/{DIGEST}", headers=beyond)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


async def test_a_registry_may_ignore_ranges() -> None:
    behaviour = replace(ALIYUN_PERSONAL, auth=Auth())
    async with FakeRegistry(behaviour) as registry, plain_client() as client:
        await push(registry.url, "hagicode/app", "1", IMAGE)
        address = f"{registry.url}/v2/hagicode/app/blobs/{DIGEST}"
        answer = await client.get(address, headers={"Range": "bytes=1-2"})
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert "Content-Range" not in answer.headers


async def test_a_tag_is_deleted_by_name_and_its_manifest_stays(url: str) -> None:
    async with plain_client() as client:
        assert (await client.delete(f"{url}/manifests/1")).status_code == 202
        accept = {"Accept": mediatypes.ACCEPT}
        assert (await client.head(f"{url}/manifests/1", headers=accept)).status_code == 404
        held = await client.head(f"{url}/manifests/{IMAGE.digest}", headers=accept)
        assert held.status_code == 200


async def test_a_mount_needs_the_right_to_pull_from_the_other_repository() -> None:
    auth = Auth(scheme=Scheme.BEARER, accounts={"user": "password"})
    async with FakeRegistry(Behaviour(auth=auth)) as registry, plain_client() as client:
        registry.store.add_blob("other", b"content")
        query = {"mount": digest_of(b"content"), "from": "other"}

        async def mount(*scopes: str) -> httpx.Response:
            token = await client.get(
                f"{registry.url}/token", params={"scope": scopes}, auth=("user", "password")
            )
            headers = {"Authorization": f"Bearer {token.json()['token']}"}
            address = f"{registry.url}/v2/app/blobs/uploads/"
            return await client.post(address, params=query, headers=headers)

        own = "repository:app:pull,push"
        assert (await mount(own)).status_code == 202
        assert (await mount(own, "repository:other:pull")).status_code == 201


async def test_repositories_are_listed(url: str, fake_registry: FakeRegistry) -> None:
    async with plain_client() as client:
        answer = await client.get(f"{fake_registry.url}/v2/_catalog")
    assert answer.json() == {"repositories": ["app"]}


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "nothing", 404, "NOT_FOUND"),
        ("PUT", "tags/list", 405, "UNSUPPORTED"),
        ("GET", "blobs/sha256:short", 400, "DIGEST_INVALID"),
        ("PUT", "manifests/.tag", 400, "TAG_INVALID"),
        ("GET", "../none/tags/list", 404, "NAME_UNKNOWN"),
    ],
)
async def test_mistakes_have_their_code(
    url: str, method: str, path: str, status: int, code: str
) -> None:
    async with plain_client() as client:
        raw = IMAGE.root.raw if method == "PUT" else b""
        headers = {"Content-Type": IMAGE.root.media_type}
        answer = await client.request(method, f"{url}/{path}", content=raw, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (status, code)
