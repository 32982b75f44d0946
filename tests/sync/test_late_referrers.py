"""Signatures and SBOMs that came after their image was mirrored are found by a full sync."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from flows.local.sample_registry.content import Image, index
from flows.local.sample_registry.images import single
from mirror.outcome import ChangeKind, Discovery, KnownTag, SourceTag
from mirror.registry import (
    Descriptor,
    Endpoint,
    Manifest,
    Registry,
    Repository,
)
from mirror.registry.spec.media_type import OCI_INDEX
from mirror.sync.late_referrers import LateReferrers, Mirrored, mark_late_referrers
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.oddities import artifact
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import NAME, SOURCE, TARGET, CoreSync, endpoint_of, seed, stored
from tests.sync.parts import NOON, digest, known, requests

IMAGE = single("late")
SBOM = artifact("late/sbom", IMAGE.root)
SIGNATURE = artifact("late/signature", IMAGE.root)


@dataclass
class Mirror:
    """A source with the referrers API, known as such, and a target that was mirrored before."""

    source: FakeRegistry
    target: FakeRegistry
    core: CoreSync

    def mirrored(self, image: Image, *referrers: Image) -> None:
        """Put an image on both sides and these referrers at the target."""
        for registry, repository in ((self.source, SOURCE), (self.target, TARGET)):
            seed(registry.store, repository, "1.0", image)
        for one in referrers:
            seed(self.target.store, TARGET, (), one)

    def attached(self, *referrers: Image) -> None:
        """Put referrers at the source."""
        for one in referrers:
            seed(self.source.store, SOURCE, (), one)

    async def marked(self, *tags: KnownTag) -> tuple[set[str], list[str]]:
        """The tags that are marked, of these that the source still has, and the warnings."""
        found = Discovery(
            tuple(SourceTag(tag.name, tag.source_digest or "") for tag in tags),
            complete=True,
            via="tags_list",
        )
        async with self.core.open() as context:
            after, warnings = await mark_late_referrers(
                context, found, {tag.name: tag for tag in tags}
            )
        assert set(after) == {tag.name for tag in tags}
        return {tag.name for tag in after.values() if tag.suspect is ChangeKind.REFERRERS}, warnings


@asynccontextmanager
async def mirror() -> AsyncIterator[Mirror]:
    """Such a mirror, empty."""
    async with FakeRegistry() as source, FakeRegistry() as target:
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        core.recorder.capabilities[source.host, SOURCE]["referrers"] = True
        yield Mirror(source, target, core)


async def test_an_image_whose_referrers_the_target_has_is_not_marked() -> None:
    async with mirror() as both:
        both.mirrored(IMAGE, SBOM)
        both.attached(SBOM)
        assert await both.marked(known("1.0", IMAGE.digest)) == (set(), [])


async def test_an_image_with_one_that_the_target_lacks_is_marked_and_so_is_its_fallback_tag() -> (
    None
):
    async with mirror() as both:
        both.mirrored(IMAGE, SBOM)
        both.attached(SBOM, SIGNATURE)
        fallback = IMAGE.digest.replace(":", "-")
        other = single("late/other")
        seed(both.target.store, TARGET, "other", other)
        marked, warnings = await both.marked(
            known("1.0", IMAGE.digest),
            known("latest", IMAGE.digest),
            known(fallback, digest(1)),
            known("other", other.digest),
        )
        assert marked == {"1.0", "latest", fallback}
        assert warnings == []


async def test_a_referrer_of_one_platform_marks_the_image() -> None:
    async with mirror() as both:
        image = multi_platform("late/platform")
        both.mirrored(image)
        assert await both.marked(known("1.0", image.digest)) == (set(), [])
        both.attached(artifact("late/platform/sbom", image.children[1]))
        assert await both.marked(known("1.0", image.digest)) == ({"1.0"}, [])


async def test_the_platforms_of_a_filtered_image_are_those_of_the_target() -> None:
    async with mirror() as both:
        image = multi_platform("late/filtered")
        both.mirrored(image)
        kept = index([image.children[0].descriptor()])
        both.target.store.add_manifest(TARGET, stored(kept), "1.0")
        both.attached(artifact("late/filtered/sbom", image.children[1]))
        tag = known("1.0", image.digest, target_digest=kept.digest)
        assert await both.marked(tag) == (set(), []), "the second platform is not mirrored"
        both.attached(artifact("late/filtered/sbom", image.children[0]))
        assert await both.marked(tag) == ({"1.0"}, [])


async def test_a_signature_of_an_sbom_marks_the_image() -> None:
    async with mirror() as both:
        both.mirrored(IMAGE, SBOM)
        both.attached(SBOM, artifact("late/sbom/signature", SBOM.root))
        assert await both.marked(known("1.0", IMAGE.digest)) == ({"1.0"}, [])


async def test_what_was_left_out_before_is_not_late() -> None:
    async with mirror() as both:
        both.mirrored(IMAGE)
        both.attached(SBOM)
        both.core.recorder.dropped[NAME].add(SBOM.digest)
        assert await both.marked(known("1.0", IMAGE.digest)) == (set(), [])
        both.attached(SIGNATURE)
        assert await both.marked(known("1.0", IMAGE.digest)) == ({"1.0"}, [])


@pytest.mark.parametrize("there", [True, False])
async def test_a_list_that_names_what_does_not_refer_to_the_image_is_not_believed(
    there: bool,
) -> None:
    async with mirror() as both:
        both.mirrored(IMAGE)
        stranger = artifact("late/stranger", single("late/elsewhere").root)
        if there:
            both.attached(stranger)
        listed = index([stranger.root.descriptor(), SBOM.root.descriptor()])  # neither is its own
        headers = {"Content-Type": OCI_INDEX}
        answer = Respond(200, headers=headers, body=listed.raw)
        both.source.faults.add(Rule(f"/referrers/{IMAGE.digest}", answer, times=None))
        assert await both.marked(known("1.0", IMAGE.digest)) == (set(), [])


async def test_a_list_of_referrers_that_refer_to_each_other_ends() -> None:
    async with mirror() as both:
        both.mirrored(IMAGE, SBOM, SIGNATURE)
        for one, other in ((IMAGE, SBOM), (SBOM, SIGNATURE), (SIGNATURE, SBOM)):
            answer = Respond(
                200,
                headers={"Content-Type": OCI_INDEX},
                body=index([other.root.descriptor()]).raw,
            )
            for registry in (both.source, both.target):
                registry.faults.add(Rule(f"/referrers/{one.digest}", answer, times=None))
        assert await both.marked(known("1.0", IMAGE.digest)) == (set(), [])


@pytest.mark.parametrize(
    "tag",
    [
        replace(known("1.0", IMAGE.digest), copied_digest=digest(1)),  # moved
        replace(known("1.0", IMAGE.digest), copied_digest=None, target_digest=None),  # new
        replace(known("1.0", IMAGE.digest), target_digest=None),
        replace(known("1.0", IMAGE.digest), suspect=ChangeKind.MISSING),
    ],
)
async def test_a_tag_that_is_copied_anyway_is_not_compared(tag: KnownTag) -> None:
    async with mirror() as both:
        both.mirrored(IMAGE)
        both.attached(SBOM)
        assert await both.marked(tag) == (set(), [])
        assert both.source.exchanges == both.target.exchanges == []


@pytest.mark.parametrize("remembered", [None, False])
async def test_a_source_that_is_not_known_to_have_the_api_is_not_asked(
    remembered: bool | None,
) -> None:
    async with mirror() as both:
        both.mirrored(IMAGE)
        both.attached(SBOM)
        capabilities = both.core.recorder.capabilities[both.source.host, SOURCE]
        del capabilities["referrers"]
        if remembered is not None:
            capabilities["referrers"] = remembered
        assert await both.marked(known("1.0", IMAGE.digest)) == (set(), [])
        assert both.source.exchanges == []


async def test_a_source_that_this_run_found_to_lack_the_api_is_not_asked() -> None:
    async with mirror() as both:
        both.mirrored(IMAGE)
        both.attached(SBOM)
        tag = known("1.0", IMAGE.digest)
        found = Discovery((SourceTag("1.0", IMAGE.digest),), complete=True, via="tags_list")
        async with both.core.open() as context:
            context.clients.source.registry.capabilities.referrers = False
            marked, warnings = await mark_late_referrers(context, found, {"1.0": tag})
        assert (marked, warnings) == ({"1.0": tag}, [])
        assert both.source.exchanges == []


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_registry_that_fails_is_a_warning_and_nothing_is_marked(side: str) -> None:
    async with mirror() as both:
        both.mirrored(IMAGE)
        both.attached(SBOM)
        registry: FakeRegistry = getattr(both, side)
        registry.faults.add(Rule("/referrers/", Respond(403, "DENIED"), times=None))
        marked, warnings = await both.marked(known("1.0", IMAGE.digest))
        assert marked == set()
        (warning,) = warnings
        assert warning.startswith("signatures and SBOMs were not compared: ")
        assert registry.host in warning


async def test_a_tag_that_the_target_lost_is_left_to_the_comparison_of_tags() -> None:
    async with mirror() as both:
        seed(both.source.store, SOURCE, "1.0", IMAGE)
        assert await both.marked(known("1.0", IMAGE.digest)) == (set(), [])


async def test_images_are_compared_once_however_many_tags_they_have() -> None:
    async with mirror() as both:
        both.mirrored(IMAGE)
        both.attached(SBOM)
        tags = [known(f"1.{number}", IMAGE.digest) for number in range(5)]
        assert len((await both.marked(*tags))[0]) == 5
        lines = requests(both.source) + requests(both.target)
        assert len([line for line in lines if "referrers/" in line]) == 2, "one on each side"


class Scripted(Repository):
    """A repository whose images have no referrers; which manifests it was asked for."""

    def __init__(self) -> None:
        super().__init__(Registry(Endpoint("registry.invalid")), "team/app")
        self.read: list[str] = []

    async def referrers(
        self, digest: str, artifact_type: str | None = None, *, fallback: bool = True
    ) -> list[Descriptor]:
        """None."""
        return []

    async def get_manifest(self, reference: str) -> Manifest:
        """An index of nothing."""
        self.read.append(reference)
        return Manifest.parse(b'{"schemaVersion": 2, "manifests": []}', OCI_INDEX)


async def none_dropped() -> frozenset[str]:
    """Nothing was left out."""
    return frozenset()


async def test_the_platforms_of_the_thousand_newest_images_alone_are_compared() -> None:
    source, target = Scripted(), Scripted()
    images = [Mirrored(digest(number), digest(number)) for number in range(1200)]
    assert await LateReferrers(source, target, none_dropped).behind(images) == frozenset()
    assert sorted(target.read) == [image.target_digest for image in images[:1000]]


async def test_the_newest_images_are_those_pushed_or_else_detected_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mirror.sync.late_referrers._WITH_CHILDREN", 2)
    async with mirror() as both:
        images = [multi_platform(f"late/{number}") for number in range(4)]
        for image in images:
            seed(both.target.store, TARGET, (), image)
            both.attached(artifact(f"late/{image.digest}", image.children[0]))
        hour = timedelta(hours=1)
        times = (
            (NOON - 9 * hour, NOON),
            (NOON - 2 * hour, NOON - 8 * hour),
            (None, NOON - hour),
            (None, None),
        )
        tags = [
            replace(known(str(number), image.digest), pushed_at=pushed, detected_at=detected)
            for number, (image, (pushed, detected)) in enumerate(zip(images, times, strict=True))
        ]
        assert (await both.marked(*tags))[0] == {"1", "2"}
