"""Every kind of sample image is what it says, and is taken by docker-registry and by ours."""

from __future__ import annotations

import gzip
import json
import uuid

import httpx
import pytest

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import Image, digest_of, layer, tar_of
from flows.local.sample_registry.images import single
from flows.local.sample_registry.releases import release
from flows.local.sample_registry.store import StoredManifest
from tests.support.fake_registry import oddities
from tests.support.fake_registry.behaviour import MIB
from tests.support.fake_registry.kinds import Sample, samples
from tests.support.fake_registry.push import plain_client, push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fake_registry.releases import past_releases
from tests.support.registry_process import DockerRegistry
from tests.support.snapshot import snapshot

SAMPLES = samples()
# distribution 2.8 takes sha512 for blobs only: tests/fake_registry/test_distribution.py.
TAKEN = [sample for sample in SAMPLES if sample.name != "sha512 manifests"]


@pytest.mark.parametrize("sample", TAKEN, ids=lambda sample: sample.name)
async def test_docker_registry_takes_it(
    sample: Sample, shared_docker_registry: DockerRegistry
) -> None:
    url, name = shared_docker_registry.url, f"kinds/{uuid.uuid4().hex[:8]}"
    for tag, image in sample.tags.items():
        await push(url, name, tag, image)
    held = await snapshot(url, name)
    assert held.whole
    assert held.tags == {tag: image.digest for tag, image in sample.tags.items()}


async def test_ours_takes_all_of_them(fake_registry: FakeRegistry) -> None:
    for sample in SAMPLES:
        for tag, image in sample.tags.items():
            await push(fake_registry.url, "kinds", tag, image)
    held = await snapshot(fake_registry.url, "kinds")
    assert held.whole
    assert held.tags == {
        tag: image.digest for sample in SAMPLES for tag, image in sample.tags.items()
    }


def test_everything_follows_from_the_seed() -> None:
    again, other = samples(), samples("other")
    assert [sample.tags for sample in again] == [sample.tags for sample in SAMPLES]
    for one, two in zip(SAMPLES, other, strict=True):
        assert {image.digest for image in one.tags.values()}.isdisjoint(
            image.digest for image in two.tags.values()
        )


def test_a_layers_digest_is_the_same_on_every_python() -> None:
    made = layer("portable", 64)
    assert made.raw[:10] == bytes.fromhex("1f8b0800000000000403")  # RFC 1952: no time, Unix
    assert gzip.decompress(made.raw) == tar_of("portable", 64)
    assert made.digest == "sha256:46f13598c2e13d7dc79dd9dc7b2d7fbc85b1e13ac0385c1cd878a05423e2fe45"


def _all(image: Image) -> list[Image]:
    return [image, *(deeper for referrer in image.referrers for deeper in _all(referrer))]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_descriptor_tells_the_truth(sample: Sample) -> None:
    for image in (part for root in sample.tags.values() for part in _all(root)):
        manifests = {content.digest: content.raw for content in image.manifests}
        for digest, raw in [*manifests.items(), *image.blobs.items()]:
            assert digest_of(raw, digest.partition(":")[0]) == digest
        named = set()
        for raw in manifests.values():
            document = json.loads(raw)
            config = [document["config"]] if "config" in document else []
            for item in [*config, *document.get("manifests", []), *document.get("layers", [])]:
                if mediatypes.is_foreign(item["mediaType"]):
                    continue
                named.add(item["digest"])
                content = manifests.get(item["digest"], image.blobs.get(item["digest"]))
                assert content is not None
                assert len(content) == item["size"]
        assert named == (set(manifests) | set(image.blobs)) - {image.digest}


def test_a_release_goes_under_the_tags_that_hagicode_uses() -> None:
    made = release("0.1.0-beta.78")
    assert made.tags == ("0.1.0-beta.78", "0.1.0", "0.1", "0", "latest")
    assert release("0.1.0").tags == ("0.1.0", "0.1", "0", "latest")
    assert release("0.1.0-beta.78", ["beta"]).tags == ("0.1.0-beta.78", "beta")
    assert len({item.image.digest for item in past_releases(3)}) == 3


def test_the_large_manifest_is_just_below_the_limit() -> None:
    size = len(oddities.large_manifest("large").root.raw)
    assert size == oddities.NEAR_LIMIT < 4 * MIB


async def test_schema_1_is_refused_by_both_and_served_by_one_that_still_has_it(
    fake_registry: FakeRegistry, shared_docker_registry: DockerRegistry
) -> None:
    old = oddities.schema1("old")
    for url in (fake_registry.url, shared_docker_registry.url):
        async with plain_client() as client:
            answer = await client.put(
                f"{url}/v2/old/manifests/1",
                content=old.raw,
                headers={"Content-Type": old.media_type},
            )
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["code"] == "MANIFEST_INVALID"
    async with FakeRegistry() as registry:
        stored = StoredManifest(old.raw, old.media_type, old.digest)
        registry.store.add_manifest("old", stored, "1")
        held = await snapshot(registry.url, "old")
        assert held.manifests == {old.digest: (old.media_type, old.raw)}


async def test_referrers_are_listed_by_subject_and_type(fake_registry: FakeRegistry) -> None:
    image = oddities.with_referrers("app")
    await push(fake_registry.url, "app", "1", image)
    sbom, signature = image.referrers
    async with plain_client() as client:
        url = f"{fake_registry.url}/v2/app/referrers/{image.digest}"
        listed = await client.get(url)
        filtered = await client.get(
            url, params={"artifactType": "application/vnd.example.signature"}
        )
        none = await client.get(f"{fake_registry.url}/v2/app/referrers/{digest_of(b'none')}")
    assert listed.headers["Content-Type"] == mediatypes.OCI_INDEX
    entries = listed.json()["manifests"]
    assert [entry["digest"] for entry in entries] == [sbom.digest, signature.digest]
    assert entries[0]["artifactType"] == "application/vnd.example.sbom+json"
    assert entries[0]["annotations"] == {"com.example.seed": "app/sbom"}
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    assert [entry["digest"] for entry in filtered.json()["manifests"]] == [signature.digest]
    assert (none.status_code, none.json()["manifests"]) == (200, [])


async def test_a_subject_may_be_missing_and_is_acknowledged(fake_registry: FakeRegistry) -> None:
    image = single("subject")
    orphan = oddities.artifact("orphan", image.root)
    await push(fake_registry.url, "app", "orphan", orphan)
    async with plain_client() as client:
        answer = await client.put(
            f"{fake_registry.url}/v2/app/manifests/{orphan.digest}",
            content=orphan.root.raw,
            headers={"Content-Type": orphan.root.media_type},
        )
    assert (answer.status_code, answer.headers["OCI-Subject"]) == (201, image.digest)


async def test_a_manifest_above_four_mebibytes_is_refused(fake_registry: FakeRegistry) -> None:
    image = oddities.large_manifest("large", 4 * MIB + 1)
    with pytest.raises(httpx.HTTPStatusError, match="413"):
        await push(fake_registry.url, "app", "1", image)
