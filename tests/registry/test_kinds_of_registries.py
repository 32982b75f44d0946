"""Blobs and manifests reach every kind of registry that is known to differ.

The behaviours cite the facts that they imitate (tests/support/fake_registry/quirks.py). All of them
are reached by 127.0.0.1, so that nothing is known of them by their host name.
"""

from __future__ import annotations

import os

import pytest

from mirror.registry import Credential, Descriptor, Endpoint, Registry, copy_blob
from mirror.registry.spec.digest import digest_of
from tests.registry.conftest import put_image
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Behaviour, Scheme
from tests.support.fake_registry.registry import FakeRegistry

KINDS = [
    *quirks.NAMED.values(),
    quirks.LARGE_CHUNKS,
    quirks.OTHER_STATUSES,
    quirks.NO_DIGEST_ON_HEAD,
]
NAME = "hagicode/hagicode"


def client_of(demo: FakeRegistry) -> Registry:
    """A client that is logged in where the registry wants that."""
    credential = Credential(quirks.USERNAME, quirks.PASSWORD, origin="the test")
    wanted = demo.behaviour.auth.scheme is not Scheme.NONE
    return Registry(
        Endpoint(
            demo.host,
            insecure=True,
            credential=lambda repository: credential if wanted else None,
            realm_hosts=frozenset({"localhost"}),
        )
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_blobs_of_every_size_reach_it_and_come_back(kind: Behaviour) -> None:
    async with (
        FakeRegistry() as origin,
        FakeRegistry(kind) as demo,
        client_of(origin) as source,
        client_of(demo) as target,
    ):
        for size in (0, 100_000, 100_001, 3 << 20, 21 << 20):
            data = os.urandom(size)
            digest = origin.store.add_blob("a/b", data)
            blob = Descriptor("application/octet-stream", digest, size)
            await copy_blob(source.repository("a/b"), target.repository(NAME), blob)
            back = [piece async for piece in target.repository(NAME).read_blob(blob)]
            assert b"".join(back) == data
        failed = [one for one in demo.exchanges if one.status >= 400 and one.status != 401]
        assert len(failed) <= 1, [one.line for one in failed]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_an_image_reaches_it_and_its_tags_are_listed(kind: Behaviour) -> None:
    async with FakeRegistry(kind) as demo, client_of(demo) as registry:
        repository = registry.repository(NAME)
        image = await put_image(repository, "1.0", b"layer")
        for number in range(3):
            await repository.put_manifest(f"1.0.{number}", image)
        assert sorted(await repository.tags()) == ["1.0", "1.0.0", "1.0.1", "1.0.2"]
        head = await repository.head_manifest("1.0")
        assert head is not None
        assert head.digest == image.digest
        assert await repository.referrers(image.digest) == []


async def test_what_was_found_out_is_remembered_and_not_tried_again() -> None:
    async with FakeRegistry() as origin, FakeRegistry(quirks.AZURE) as demo:
        data = os.urandom(3 << 20)
        blob = Descriptor("x", origin.store.add_blob("a/b", data), len(data))
        async with client_of(origin) as source, client_of(demo) as target:
            await copy_blob(source.repository("a/b"), target.repository(NAME), blob)
            remembered = target.capabilities.dump()
        demo.exchanges.clear()
        other = os.urandom(2 << 20)
        blob = Descriptor("x", digest_of(other), len(other))
        origin.store.add_blob("a/b", other)
        async with client_of(origin) as source, client_of(demo) as target:
            target.capabilities.load(remembered)
            await copy_blob(source.repository("a/b"), target.repository(NAME), blob)
        assert [one.line for one in demo.exchanges if one.status in range(400, 600)] == [
            f"POST /v2/{NAME}/blobs/uploads/"
        ], "the challenge and nothing else"
