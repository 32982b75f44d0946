"""Signatures, SBOMs and provenance travel with their image, and verify at the mirror."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from flows.local.fake_registry import quirks
from flows.local.fake_registry.behaviour import Behaviour
from flows.local.fake_registry.content import Image
from flows.local.fake_registry.faults import Fault, Rule
from flows.local.fake_registry.images import multi_platform, single
from flows.local.fake_registry.oddities import artifact, with_referrers
from flows.local.fake_registry.registry import DemoRegistry
from flows.local.fake_registry.signatures import cosign_tags, fallback_index, fallback_tag
from mirror.config.models import TagPolicy
from mirror.registry import Registry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

WITHOUT_API = replace(
    quirks.SPECIFICATION, name="no-referrers", referrers=False, subject_acknowledged=False
)
VERSIONS_ONLY = TagPolicy(include=("1.*",))
HANG = 30  # seconds until a sync that waits for ever is stopped


async def referrers_at(target: DemoRegistry, digest: str) -> set[str]:
    """What a client finds at the mirror: by the API, else by the fallback tag."""
    async with Registry(endpoint_of(target)) as registry:
        return {one.digest for one in await registry.repository(TARGET).referrers(digest)}


@pytest.mark.parametrize("behaviour", [quirks.SPECIFICATION, WITHOUT_API], ids=lambda b: b.name)
async def test_referrers_by_subject_arrive_recursively(behaviour: Behaviour) -> None:
    async with DemoRegistry() as source, DemoRegistry(behaviour) as target:
        image = with_referrers("referrers/deep")
        seed(source.store, SOURCE, "1.0.0", image)
        synced = await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
        sbom, signature = image.referrers
        assert await referrers_at(target, image.digest) == {sbom.digest, signature.digest}
        assert await referrers_at(target, sbom.digest) == {sbom.referrers[0].digest}
        assert synced.outcomes["1.0.0"].referrers == 3
        tags = set(target.store.repository(TARGET).tags) - {"1.0.0"}
        if behaviour.referrers:
            assert not tags, "where OCI-Subject was answered, no fallback index is kept"
        else:
            assert tags == {fallback_tag(image), fallback_tag(sbom)}


async def test_what_refers_to_one_platform_of_an_image_arrives() -> None:
    async with DemoRegistry() as source, DemoRegistry() as target:
        image = multi_platform("referrers/platform")
        signature = artifact("referrers/platform/sig", image.children[1])
        seed(source.store, SOURCE, "1.0.0", replace(image, referrers=(signature,)))
        await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
        assert await referrers_at(target, image.children[1].digest) == {signature.digest}


async def test_a_fallback_index_at_the_target_is_added_to_and_keeps_what_others_put_there() -> None:
    async with DemoRegistry() as source, DemoRegistry(WITHOUT_API) as target:
        image = single("referrers/kept")
        own = artifact("referrers/kept/own", image.root)
        theirs = artifact("referrers/kept/theirs", image.root)
        seed(target.store, TARGET, (), theirs)
        seed(target.store, TARGET, fallback_tag(image), fallback_index((theirs,)))
        seed(source.store, SOURCE, "1.0.0", replace(image, referrers=(own,)))
        await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
        assert await referrers_at(target, image.digest) == {own.digest, theirs.digest}
        held = target.store.repository(TARGET)
        entries = json.loads(held.manifests[held.tags[fallback_tag(image)]].raw)["manifests"]
        assert entries[1]["artifactType"] == "application/vnd.example.sbom+json"


@pytest.mark.parametrize("behaviour", [quirks.SPECIFICATION, WITHOUT_API], ids=lambda b: b.name)
async def test_referrers_that_the_source_keeps_by_fallback_tag_arrive(
    behaviour: Behaviour,
) -> None:
    async with DemoRegistry(WITHOUT_API) as source, DemoRegistry(behaviour) as target:
        image = single("referrers/fallback")
        both = (artifact("referrers/a", image.root), artifact("referrers/b", image.root))
        seed(source.store, SOURCE, "1.0.0", image)
        seed(source.store, SOURCE, fallback_tag(image), fallback_index(both))
        core = CoreSync(endpoint_of(source), endpoint_of(target), tags=VERSIONS_ONLY)
        await core.sync()
        assert await referrers_at(target, image.digest) == {one.digest for one in both}
        assert not (await core.sync()).plan.changes


@pytest.mark.parametrize("rules", [TagPolicy(), VERSIONS_ONLY], ids=["tags: *", "tags: 1.*"])
async def test_what_the_source_lists_by_api_and_by_fallback_tag_is_joined_under_the_tag(
    rules: TagPolicy,
) -> None:
    async with DemoRegistry() as source, DemoRegistry(WITHOUT_API) as target:
        image = single("referrers/both ways")
        old, new, newest = (artifact(f"referrers/both ways/{n}", image.root) for n in range(3))
        seed(source.store, SOURCE, "1.0.0", replace(image, referrers=(new,)))
        seed(source.store, SOURCE, (), old)
        seed(source.store, SOURCE, fallback_tag(image), fallback_index((old,)))
        core = CoreSync(endpoint_of(source), endpoint_of(target), tags=rules)
        first = await core.sync()
        assert not first.failures
        assert await referrers_at(target, image.digest) == {old.digest, new.digest}
        assert not (await core.sync()).plan.changes
        # The tag alone moves: what the API alone lists must stay.
        seed(source.store, SOURCE, (), newest)
        seed(source.store, SOURCE, fallback_tag(image), fallback_index((old, newest)))
        assert not (await core.sync()).failures
        assert await referrers_at(target, image.digest) == {
            one.digest for one in (old, new, newest)
        }
        assert not (await core.sync()).plan.changes


async def test_what_comes_over_with_a_fallback_tag_that_goes_first_is_counted() -> None:
    async with DemoRegistry() as source, DemoRegistry(WITHOUT_API) as target:
        image = single("referrers/counted")
        listed = artifact("referrers/counted/listed", image.root)
        tagged = artifact("referrers/counted/tagged", image.root)
        seed(source.store, SOURCE, "zeta", replace(image, referrers=(listed,)))
        seed(source.store, SOURCE, (), tagged)
        seed(source.store, SOURCE, fallback_tag(image), fallback_index((tagged,)))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        first = Until(lambda: _arrived(core, fallback_tag(image)))
        source.faults.add(Rule(f"GET .*/manifests/{image.digest}", first))
        async with asyncio.timeout(HANG):
            synced = await core.sync()
        assert synced.arrived == (fallback_tag(image), "zeta")
        blobs = {**image.blobs, **listed.blobs, **tagged.blobs}
        outcomes = synced.outcomes.values()
        assert sum(outcome.bytes_copied for outcome in outcomes) == sum(map(len, blobs.values()))
        assert {blob.digest for outcome in outcomes for blob in outcome.placed} == set(blobs)


@dataclass(frozen=True)
class Until(Fault):
    """Answer nothing until something has happened."""

    ready: Callable[[], bool]

    async def before(self) -> None:
        while not self.ready():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.001)


def _arrived(core: CoreSync, tag: str) -> bool:
    """True once a tag is recorded as copied."""
    state = core.known.get(tag)
    return state is not None and state.copied_digest is not None


@pytest.mark.parametrize("whole", [True, False], ids=["tags: *", "tags: 1.*"])
async def test_cosign_s_tags_travel_with_their_image_and_verify_at_the_mirror(whole: bool) -> None:
    async with DemoRegistry(WITHOUT_API) as source, DemoRegistry() as target:
        image = multi_platform("referrers/cosign")
        stranger = single("referrers/stranger")
        for tag, one in {
            "1.0.0": image,
            **cosign_tags(image),
            "2.0.0": stranger,
            **cosign_tags(stranger),
        }.items():
            seed(source.store, SOURCE, tag, one)
        rules = TagPolicy() if whole else VERSIONS_ONLY
        core = CoreSync(endpoint_of(source), endpoint_of(target), tags=rules)
        await core.sync()
        held = target.store.repository(TARGET).tags
        assert set(cosign_tags(image)) <= set(held)
        assert bool(set(cosign_tags(stranger)) & set(held)) is whole
        assert await verified_as_cosign_does(target, "1.0.0") == held["1.0.0"]
        assert not (await core.sync()).plan.changes


async def test_a_signature_added_later_arrives_whether_of_the_image_or_of_one_platform() -> None:
    async with DemoRegistry(WITHOUT_API) as source, DemoRegistry() as target:
        image = multi_platform("referrers/later")
        seed(source.store, SOURCE, "1.0.0", image)
        core = CoreSync(endpoint_of(source), endpoint_of(target), tags=VERSIONS_ONLY)
        await core.sync()
        child = Image(image.children[0], blobs=image.blobs)
        for signed in (image, child):
            for tag, one in cosign_tags(signed).items():
                seed(source.store, SOURCE, tag, one)
            await core.sync()
            assert set(cosign_tags(signed)) <= set(target.store.repository(TARGET).tags)
        assert not (await core.sync()).plan.changes


async def test_signatures_keep_their_name_when_tags_are_renamed_and_are_never_held() -> None:
    async with DemoRegistry(WITHOUT_API) as source, DemoRegistry() as target:
        image = single("referrers/renamed")
        tags = cosign_tags(image)
        for tag, one in {"1.0.0": image, **tags}.items():
            seed(source.store, SOURCE, tag, one)
        rules = TagPolicy(rename="hub-{tag}", immutable=("*",))
        core = CoreSync(endpoint_of(source), endpoint_of(target), tags=rules)
        await core.sync()
        assert set(target.store.repository(TARGET).tags) == {"hub-1.0.0", *tags}
        assert await verified_as_cosign_does(target, "hub-1.0.0") == image.digest
        again = next(iter(tags))
        seed(source.store, SOURCE, again, single("referrers/signed twice"))
        assert (await core.sync()).arrived == (again,)


async def test_referrers_false_leaves_them_at_the_source() -> None:
    async with DemoRegistry() as source, DemoRegistry() as target:
        image = with_referrers("referrers/off")
        for tag, one in {"1.0.0": image, **cosign_tags(image)}.items():
            seed(source.store, SOURCE, tag, one)
        rules = TagPolicy(include=("1.*",))
        await CoreSync(endpoint_of(source), endpoint_of(target), tags=rules, referrers=False).sync()
        held = target.store.repository(TARGET)
        assert set(held.tags) == {"1.0.0"}
        assert set(held.manifests) == {image.digest}


async def verified_as_cosign_does(target: DemoRegistry, tag: str) -> str:
    """Resolve the tag, find its signature by name, and check that its payload names the digest."""
    async with Registry(endpoint_of(target)) as registry:
        repository = registry.repository(TARGET)
        head = await repository.head_manifest(tag)
        assert head is not None
        signature = await repository.get_manifest(f"{head.digest.replace(':', '-')}.sig")
        (layer,) = signature.layers
        payload = b"".join([piece async for piece in repository.read_blob(layer)])
        named: str = json.loads(payload)["critical"]["image"]["docker-manifest-digest"]
        assert named == head.digest
        return named
