"""The client against Debian's docker-registry, distribution 2.8."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror.registry import (
    Denied,
    Descriptor,
    DigestMismatch,
    ManifestBlobUnknown,
    NotFound,
    Registry,
    Unauthorized,
    copy_blob,
)
from mirror.registry.spec.digest import digest_of
from tests.registry.conftest import content, endpoint_of, put_blob, put_image
from tests.support.fixtures import StartDockerRegistry

Name = Callable[[], str]


async def test_an_image_is_pushed_and_read_back_byte_for_byte(
    registry: Registry, fresh_name: Name
) -> None:
    repository = registry.repository(fresh_name())
    pushed = await put_image(repository, "1.0", b"layer")

    head = await repository.head_manifest("1.0")
    assert head is not None
    assert (head.digest, head.size, head.media_type) == (
        pushed.digest,
        len(pushed.raw),
        pushed.media_type,
    )
    assert (await repository.get_manifest("1.0")).raw == pushed.raw
    assert (await repository.get_manifest(pushed.digest)).raw == pushed.raw
    assert await repository.tags() == ["1.0"]


async def test_what_is_not_there_is_absent_or_not_found(
    registry: Registry, fresh_name: Name
) -> None:
    repository = registry.repository(fresh_name())
    absent = digest_of(b"absent")
    assert await repository.head_manifest("nothing") is None
    assert await repository.head_blob(absent) is None
    with pytest.raises(NotFound, match=f"{repository.name}:nothing: not found"):
        await repository.get_manifest("nothing")
    with pytest.raises(NotFound):
        await repository.tags()
    assert await repository.referrers(absent) == []


async def test_many_tags_are_listed_over_many_pages(registry: Registry, fresh_name: Name) -> None:
    repository = registry.repository(fresh_name())
    image = await put_image(repository, "0", b"")
    names = [f"0.{number}" for number in range(30)]
    for name in names:
        await repository.put_manifest(name, image)
    assert sorted(await repository.tags()) == sorted(["0", *names])


async def test_a_manifest_whose_blobs_are_missing_is_refused_as_such(
    registry: Registry, fresh_name: Name
) -> None:
    image = await put_image(registry.repository(fresh_name()), "1", b"layer")
    with pytest.raises(ManifestBlobUnknown):
        await registry.repository(fresh_name()).put_manifest("1", image)


@pytest.mark.parametrize("size", [0, 1, 70_000, (1 << 20) + 1, 9 << 20])
async def test_a_blob_is_copied_whatever_its_size(
    registry: Registry, fresh_name: Name, size: int
) -> None:
    source, target = registry.repository(fresh_name()), registry.repository(fresh_name())
    data, descriptor = content(size)
    await put_blob(source, data)
    reported: list[int] = []

    await copy_blob(source, target, descriptor, progress=reported.append)

    assert await target.head_blob(descriptor.digest) == size
    assert b"".join([piece async for piece in target.read_blob(descriptor)]) == data
    assert sum(reported) == size


@pytest.mark.parametrize("size", [1000, 3 << 20])
async def test_a_blob_that_is_not_what_its_digest_says_is_never_committed(
    registry: Registry, fresh_name: Name, size: int
) -> None:
    source, target = registry.repository(fresh_name()), registry.repository(fresh_name())
    data, descriptor = content(size)
    await put_blob(source, data)
    longer = Descriptor(descriptor.media_type, descriptor.digest, size + 1)
    shorter = Descriptor(descriptor.media_type, descriptor.digest, size - 1)

    for wrong in (longer, shorter):
        with pytest.raises(DigestMismatch):
            await copy_blob(source, target, wrong)
    assert await target.head_blob(descriptor.digest) is None


async def test_a_blob_is_mounted_from_another_repository(
    registry: Registry, fresh_name: Name
) -> None:
    source, target = registry.repository(fresh_name()), registry.repository(fresh_name())
    held = await put_blob(source, b"to be mounted")
    assert await target.mount_blob(held.digest, source.name)
    assert await target.head_blob(held.digest) == held.size
    assert not await target.mount_blob(digest_of(b"nobody has it"), source.name)


async def test_a_blob_is_read_from_the_middle(registry: Registry, fresh_name: Name) -> None:
    repository = registry.repository(fresh_name())
    data, descriptor = content(300_000)
    await put_blob(repository, data)
    pieces = [piece async for piece in repository.read_blob(descriptor, 123_456)]
    assert b"".join(pieces) == data[123_456:]


async def test_a_manifest_is_deleted(registry: Registry, fresh_name: Name) -> None:
    repository = registry.repository(fresh_name())
    image = await put_image(repository, "1", b"layer")
    await repository.delete_manifest(image.digest)
    await repository.delete_manifest(image.digest)
    assert await repository.head_manifest("1") is None


async def test_the_registry_is_reached_over_a_private_authority_with_a_password(
    docker_registry: StartDockerRegistry,
) -> None:
    process = docker_registry(auth=True, tls=True)
    async with Registry(endpoint_of(process)) as known:
        await known.ping()
        image = await put_image(known.repository("a/b"), "1", b"layer")
        assert (await known.repository("a/b").get_manifest("1")).raw == image.raw
    async with Registry(endpoint_of(process, anonymous=True)) as stranger:
        with pytest.raises(Unauthorized, match=r"anonymous user.*give a credential") as caught:
            await stranger.ping()
        assert caught.value.reason == "auth"
        assert not isinstance(caught.value, Denied)
