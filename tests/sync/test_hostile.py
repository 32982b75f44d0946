"""Sources that are broken or ill-willed: a tag ends whole or in its own clear failure."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import (
    Content,
    Image,
    blobs_of,
    digest_of,
    image_config,
    index,
    layer,
    manifest,
)
from flows.local.sample_registry.images import AMD64, ARM64, over, single
from mirror.config.models import TagPolicy
from mirror.outcome import Reason
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.oddities import artifact
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, Synced, endpoint_of, seed, stored

GOOD = single("hostile/good")


async def mirrored(images: dict[str, Image], **options: Any) -> tuple[Synced, FakeRegistry]:
    """Sync a source with these tags, and a good one next to them, to a specification registry."""
    async with FakeRegistry() as source, FakeRegistry() as target:
        for tag, image in {"good": GOOD, **images}.items():
            seed(source.store, SOURCE, tag, image)
        core = CoreSync(endpoint_of(source), endpoint_of(target), **options)
        async with asyncio.timeout(30):
            synced = await core.sync()
        assert "good" in synced.arrived, "one bad tag holds up nobody"
        assert target.store.repository(TARGET).tags["good"] == GOOD.digest
        return synced, target


def lying(image: Image, **changes: Any) -> dict[str, Any]:
    """A descriptor of the image that says something else of it."""
    return image.root.descriptor() | changes


async def test_a_child_whose_bytes_are_another_s_fails_its_tag_alone() -> None:
    child = single("hostile/child")
    forged = Content(b'{"schemaVersion": 2}', child.root.media_type, child.digest)
    image = Image(index([child.root.descriptor(platform=AMD64)]), (forged,), child.blobs)
    synced, target = await mirrored({"bad": image})
    assert synced.failures["bad"].reason is Reason.DIGEST_MISMATCH
    assert "bad" not in target.store.repository(TARGET).tags


async def test_a_child_of_another_size_than_its_index_says_never_gets_a_tag() -> None:
    child = single("hostile/size")
    image = over(index([lying(child, size=len(child.root.raw) + 1)]), [child])
    synced, target = await mirrored({"bad": image})
    assert synced.failures["bad"].reason is Reason.DIGEST_MISMATCH
    assert child.digest in synced.failures["bad"].message
    assert "bad" not in target.store.repository(TARGET).tags


@pytest.mark.parametrize("more", [1, -1, 1_000_000])
async def test_a_layer_of_another_size_than_its_manifest_says_never_gets_a_tag(more: int) -> None:
    content = layer("hostile/layer")
    config = image_config([content], AMD64)
    described = content.descriptor() | {"size": len(content.raw) + more}
    image = Image(manifest(config, [described]), blobs=blobs_of(config, content))
    synced, target = await mirrored({"bad": image})
    assert synced.failures["bad"].reason is Reason.DIGEST_MISMATCH
    assert "bad" not in target.store.repository(TARGET).tags


async def test_a_known_layer_that_a_second_manifest_gives_another_size_never_gets_a_tag() -> None:
    good = layer("hostile/twice")
    config = image_config([good], AMD64)
    one = Image(manifest(config, [good]), blobs=blobs_of(config, good))
    other = good.descriptor() | {"size": len(good.raw) + 7}
    two = Image(manifest(config, [other]), blobs=blobs_of(config, good))
    synced, target = await mirrored({"a": one, "b": two})
    assert synced.failures["b"].reason is Reason.DIGEST_MISMATCH
    assert set(target.store.repository(TARGET).tags) == {"good", "a"}


async def test_a_missing_layer_fails_its_tag_alone() -> None:
    image = single("hostile/missing")
    gone = Image(image.root, blobs={k: v for k, v in list(image.blobs.items())[:1]})
    synced, _ = await mirrored({"bad": gone})
    assert synced.failures["bad"].reason is Reason.NOT_FOUND


async def test_a_child_that_stands_twice_in_an_index_arrives_identically() -> None:
    child = single("hostile/double")
    entries = [child.root.descriptor(platform=p) for p in (AMD64, ARM64, AMD64)]
    image = over(index(entries), [child])
    synced, target = await mirrored({"double": image})
    assert target.store.repository(TARGET).tags["double"] == image.digest
    assert synced.outcomes["double"].target_digest == image.digest


async def test_one_blob_as_config_and_as_layer_arrives_identically() -> None:
    config = image_config([], AMD64)
    image = Image(manifest(config, [config, config]), blobs=blobs_of(config))
    _, target = await mirrored({"same": image})
    assert target.store.repository(TARGET).tags["same"] == image.digest


async def test_an_index_without_children_arrives_identically() -> None:
    image = Image(index([]))
    _, target = await mirrored({"empty": image})
    assert target.store.repository(TARGET).tags["empty"] == image.digest


async def test_an_index_of_200_children_arrives_identically() -> None:
    children = [single(f"hostile/many/{number}", sizes=(100,)) for number in range(200)]
    entries = [child.root.descriptor(platform=AMD64) for child in children]
    image = over(index(entries), children)
    _, target = await mirrored({"many": image})
    held = target.store.repository(TARGET)
    assert held.tags["many"] == image.digest
    assert {child.digest for child in children} <= held.manifests.keys()


@pytest.mark.parametrize("depth", [3, 400])
async def test_indexes_in_indexes_arrive_identically_however_deep(depth: int) -> None:
    image = single("hostile/deep")
    for _ in range(depth):
        image = over(index([image.root.descriptor()]), [image])
    _, target = await mirrored({"deep": image})
    assert target.store.repository(TARGET).tags["deep"] == image.digest


async def test_a_manifest_that_says_another_type_than_it_comes_under_is_refused() -> None:
    image = single("hostile/type")
    wrong = Content(image.root.raw, mediatypes.DOCKER_MANIFEST, image.digest)
    synced, _ = await mirrored({"bad": Image(wrong, blobs=image.blobs)})
    assert image.root.media_type in synced.failures["bad"].message


async def test_an_index_that_names_a_child_by_another_type_stays_as_it_is() -> None:
    child = single("hostile/child type")
    image = over(index([lying(child, mediaType=mediatypes.DOCKER_MANIFEST)]), [child])
    _, target = await mirrored({"odd": image})
    assert target.store.repository(TARGET).tags["odd"] == image.digest


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b'{"schemaVersion": 2, "manifests": {}}',
        b'{"schemaVersion": 2, "manifests": [{"digest": 5}]}',
        b'{"schemaVersion": 2, "config": [], "layers": []}',
        b"[" * 100_000,
        json.dumps(
            {"schemaVersion": 2, "manifests": [{"digest": "sha256:00", "size": 1}]}
        ).encode(),
    ],
)
async def test_what_is_no_manifest_fails_its_tag_alone(raw: bytes) -> None:
    content = Content(raw, mediatypes.OCI_INDEX, digest_of(raw))
    synced, target = await mirrored({"bad": Image(content)})
    assert "bad" in synced.failures
    assert "bad" not in target.store.repository(TARGET).tags


async def test_a_tag_of_128_characters_arrives() -> None:
    name = "t" * 128
    _, target = await mirrored({name: GOOD})
    assert name in target.store.repository(TARGET).tags


async def test_a_tag_that_rename_makes_too_long_fails_alone() -> None:
    async with FakeRegistry() as source, FakeRegistry() as target:
        long = "t" * 126
        seed(source.store, SOURCE, ("good", long), GOOD)
        rules = TagPolicy(rename="hub-{tag}")
        synced = await CoreSync(endpoint_of(source), endpoint_of(target), tags=rules).sync()
        assert set(target.store.repository(TARGET).tags) == {"hub-good"}
        assert f"hub-{long}" in synced.failures[long].message


async def test_referrers_that_go_in_a_circle_end_in_a_clear_failure() -> None:
    """A registry can list as a referrer whatever it likes; bytes cannot refer to each other."""
    one, two = single("hostile/one"), single("hostile/two")
    images = {
        "one": one,
        "two": two,
        one.digest.replace(":", "-"): over(index([two.root.descriptor()]), [two]),
        two.digest.replace(":", "-"): over(index([one.root.descriptor()]), [one]),
        f"{one.digest.replace(':', '-')}.sig": two,
        f"{two.digest.replace(':', '-')}.sig": one,
    }
    synced, target = await mirrored(images, tags=TagPolicy(include=("good", "one", "two")))
    for tag, image in (("one", one), ("two", two)):
        arrived = target.store.repository(TARGET).tags.get(tag) == image.digest
        assert arrived or "circular referrers" in synced.failures[tag].message


async def test_a_registry_that_lists_a_manifest_as_its_own_referrer_is_not_followed() -> None:
    image = single("hostile/self")
    stranger = artifact("hostile/stranger", single("hostile/elsewhere").root)
    listed = index([image.root.descriptor(), stranger.root.descriptor()])
    answer = Respond(200, headers={"Content-Type": mediatypes.OCI_INDEX}, body=listed.raw)
    async with (
        FakeRegistry(faults=(Rule(f"/referrers/{image.digest}", answer, times=None),)) as source,
        FakeRegistry() as target,
    ):
        seed(source.store, SOURCE, "self", image)
        source.store.add_manifest(SOURCE, stored(stranger.root), None)
        async with asyncio.timeout(20):
            synced = await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
        assert synced.arrived == ("self",)
        assert synced.outcomes["self"].referrers == 0
        assert stranger.digest not in target.store.repository(TARGET).manifests


async def test_an_image_of_two_platforms_in_which_one_child_is_gone_is_not_tagged() -> None:
    image = multi_platform("hostile/half")
    half = Image(image.root, image.children[:1], image.blobs)
    synced, target = await mirrored({"half": half})
    assert synced.failures["half"].reason is Reason.NOT_FOUND
    assert "half" not in target.store.repository(TARGET).tags
