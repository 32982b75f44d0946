"""What is left out by wish or by refusal: the index stays valid, and nothing else goes missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from flows.local.sample_registry.content import Image, index
from flows.local.sample_registry.images import AMD64, ARM64, BOTH, attested, over, single
from mirror.outcome import DropReason, Reason
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.images import ARMV7, multi_platform
from tests.support.fake_registry.oddities import artifact, described_at_length, foreign_layers
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, Synced, endpoint_of, seed

AMD64_ONLY = {"platforms": ("linux/amd64",)}


async def mirrored(
    image: Image, wanted: Mapping[str, Any], behaviour: Behaviour = quirks.SPECIFICATION
) -> tuple[Synced, Synced, FakeRegistry]:
    """The first and the second sync of one tag, and the target."""
    async with FakeRegistry() as source, FakeRegistry(behaviour) as target:
        seed(source.store, SOURCE, "1.0.0", image)
        core = CoreSync(endpoint_of(source), endpoint_of(target), **wanted)
        return await core.sync(), await core.sync(), target


def index_of(target: FakeRegistry) -> dict[str, Any]:
    held = target.store.repository(TARGET)
    document: dict[str, Any] = json.loads(held.manifests[held.tags["1.0.0"]].raw)
    return document


async def test_a_subset_keeps_descriptors_order_annotations_and_unknown_keys() -> None:
    image = described_at_length("filter/keys")
    first, second, target = await mirrored(image, {"platforms": ("linux/arm64/v8",)})
    source = json.loads(image.root.raw)
    assert index_of(target) == {**source, "manifests": source["manifests"][1:]}
    assert not second.plan.changes
    (dropped,) = first.outcomes["1.0.0"].dropped
    assert (dropped.reason, dropped.platform) == (DropReason.PLATFORM, "linux/amd64")
    assert first.outcomes["1.0.0"].change.digest == image.digest
    assert first.outcomes["1.0.0"].target_digest == target.store.repository(TARGET).tags["1.0.0"]


async def test_a_subset_leaves_out_the_attestations_of_what_it_leaves_out() -> None:
    image = attested("filter/attested", (AMD64, ARM64), artifacts=True)
    first, _, target = await mirrored(image, AMD64_ONLY)
    kept = [entry["digest"] for entry in index_of(target)["manifests"]]
    assert kept == [image.children[0].digest, image.children[2].digest]
    held = target.store.repository(TARGET)
    for content in (image.children[0], image.children[2]):
        assert held.manifests[content.digest].raw == content.raw
    assert image.children[1].digest not in held.manifests
    assert image.children[3].digest not in held.manifests, "nor by way of the referrers API"
    assert {drop.digest for drop in first.outcomes["1.0.0"].dropped} == {
        image.children[1].digest,
        image.children[3].digest,
    }


async def test_a_subset_that_leaves_nothing_out_is_byte_identical() -> None:
    image = multi_platform("filter/all", BOTH)
    first, _, target = await mirrored(image, {"platforms": ("linux/arm64", "linux/amd64")})
    assert target.store.repository(TARGET).tags["1.0.0"] == image.digest
    assert not first.outcomes["1.0.0"].dropped


async def test_a_subset_reaches_into_indexes_in_indexes_and_leaves_out_empty_ones() -> None:
    both, arm = multi_platform("filter/both"), multi_platform("filter/arm", (ARM64, ARMV7))
    image = over(index([both.root.descriptor(), arm.root.descriptor()]), [both, arm])
    first, second, target = await mirrored(image, AMD64_ONLY)
    (inner,) = index_of(target)["manifests"]
    held = target.store.repository(TARGET)
    raw = held.manifests[inner["digest"]].raw
    assert len(raw) == inner["size"]
    assert [one["digest"] for one in json.loads(raw)["manifests"]] == [both.children[0].digest]
    assert arm.digest not in held.manifests
    assert not second.plan.changes
    assert {drop.reason for drop in first.outcomes["1.0.0"].dropped} == {DropReason.PLATFORM}


async def test_a_tag_that_has_none_of_the_platforms_fails_and_says_so() -> None:
    first, _, target = await mirrored(multi_platform("filter/none", (ARM64, ARMV7)), AMD64_ONLY)
    failure = first.failures["1.0.0"]
    assert failure.reason is Reason.NOT_FOUND
    assert "no image for any of the platforms linux/amd64" in failure.message
    assert not target.store.repository(TARGET).tags


@pytest.mark.parametrize("artifacts", [False, True])
async def test_attestations_are_left_out_by_wish_in_either_form(artifacts: bool) -> None:
    image = attested("filter/drop", artifacts=artifacts)
    first, second, target = await mirrored(image, {"attestations": False})
    kept = [entry["digest"] for entry in index_of(target)["manifests"]]
    assert kept == [image.children[0].digest, image.children[1].digest]
    held = target.store.repository(TARGET)
    assert not held.manifests.keys() & {child.digest for child in image.children[2:]}
    assert {drop.reason for drop in first.outcomes["1.0.0"].dropped} == {DropReason.ATTESTATION}
    assert not second.plan.changes


@pytest.mark.parametrize(
    ("behaviour", "artifacts", "status"),
    [
        (quirks.ALIYUN_PERSONAL, True, 403),
        (quirks.REFUSES_ATTESTATIONS, True, 400),
        (quirks.REFUSES_ATTESTATIONS, False, 400),
    ],
    ids=["unknown manifest class", "MANIFEST_INVALID", "MANIFEST_INVALID, older form"],
)
async def test_refused_attestations_are_learnt_once_for_the_target_and_remembered(
    behaviour: Behaviour, artifacts: bool, status: int
) -> None:
    async with FakeRegistry() as source, FakeRegistry(behaviour) as target:
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        for number in range(3):
            image = attested(f"filter/refused/{number}", artifacts=artifacts)
            seed(source.store, SOURCE, f"1.0.{number}", image)
            target.exchanges.clear()
            synced = await core.sync()
            assert synced.arrived == (f"1.0.{number}",)
            refusals = [
                one
                for one in target.exchanges
                if one.method == "PUT" and "/manifests/" in one.path and one.status == status
            ]
            assert len(refusals) <= (2 if number == 0 else 0)
            (outcome,) = synced.outcomes.values()
            assert {drop.digest for drop in outcome.dropped} == {
                child.digest for child in image.children[2:]
            }
            assert {drop.reason for drop in outcome.dropped} == {DropReason.ATTESTATION_REFUSED}


async def test_what_was_left_out_is_told_of_every_tag_that_shares_it() -> None:
    async with FakeRegistry() as source, FakeRegistry(quirks.ALIYUN_PERSONAL) as target:
        image = attested("filter/shared", artifacts=True)
        sbom = artifact("filter/shared/sbom", image.root)
        signed = Image(image.root, image.children, image.blobs, (sbom,))
        seed(source.store, SOURCE, ("1.0.0", "1.0", "latest"), signed)
        synced = await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
        wanted = {
            (image.children[2].digest, DropReason.ATTESTATION_REFUSED),
            (image.children[3].digest, DropReason.ATTESTATION_REFUSED),
            (sbom.digest, DropReason.REFERRER_REFUSED),
        }
        for tag in ("1.0.0", "1.0", "latest"):
            dropped = synced.outcomes[tag].dropped
            assert {(drop.digest, drop.reason) for drop in dropped} == wanted, tag


async def test_foreign_layers_are_told_and_never_asked_for() -> None:
    image = foreign_layers("filter/foreign")
    first, _, target = await mirrored(image, {})
    (dropped,) = first.outcomes["1.0.0"].dropped
    assert dropped.reason is DropReason.NON_DISTRIBUTABLE
    assert dropped.digest not in target.store.repository(TARGET).blobs
    assert not [one for one in target.exchanges if dropped.digest in one.path]


async def test_a_single_image_is_mirrored_whatever_platforms_are_wanted() -> None:
    image = single("filter/single", ARM64)
    _, _, target = await mirrored(image, AMD64_ONLY)
    assert target.store.repository(TARGET).tags["1.0.0"] == image.digest
