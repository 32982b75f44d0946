"""The copy of one tag: its order, its repairs, and what it leaves out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from flows.local.sample_registry.content import Image, index
from flows.local.sample_registry.images import BOTH, attested, over, single
from mirror.outcome import BlobTally, Change, ChangeKind, DropReason, Reason
from mirror.registry import Repository
from mirror.sync.copying.blob_placement import BlobPlacer
from mirror.sync.copying.copy import Copier
from mirror.sync.copying.visibility import WAITS
from mirror.sync.tags.image_rules import ImageRules
from mirror.sync.tags.tag_rules import TagRules
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.oddities import artifact, foreign_layers
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, seed
from tests.sync.parts import change, digest, repository_at, requests

PUTS_UNTIL_VISIBLE = len(WAITS) + 1
"""Of a manifest whose blobs this run has just uploaded."""


@dataclass
class Sides:
    """A source, a target, and a repository of each."""

    at_source: FakeRegistry
    at_target: FakeRegistry
    source: Repository
    target: Repository

    def copier(
        self,
        *,
        holdings: tuple[str, ...] = (),
        images: ImageRules | None = None,
        tags: TagRules | None = None,
        **options: Any,
    ) -> Copier:
        """The copier of a run for which the record has these blobs at the target."""
        return Copier(
            self.source,
            self.target,
            BlobPlacer(self.source, self.target, holdings=holdings, look_first=not holdings),
            images=images or ImageRules(),
            tags=tags or TagRules(),
            **options,
        )

    def tagged(self, tag: str, image: Image) -> Change:
        """Put an image at the source; the change that copies it."""
        seed(self.at_source.store, SOURCE, tag, image)
        return change(tag, image.digest)

    @property
    def tags(self) -> dict[str, str]:
        """What the target's tags point at."""
        return self.at_target.store.repository(TARGET).tags


@asynccontextmanager
async def sides(behaviour: Behaviour | None = None) -> AsyncIterator[Sides]:
    """Both sides, empty."""
    async with (
        FakeRegistry() as at_source,
        FakeRegistry(behaviour) as at_target,
        repository_at(at_source, SOURCE) as source,
        repository_at(at_target) as target,
    ):
        yield Sides(at_source, at_target, source, target)


async def test_blobs_come_before_children_these_before_their_index_and_the_tag_last() -> None:
    async with sides() as both:
        inner = multi_platform("copy/order")
        image = over(index([inner.root.descriptor()]), [inner])
        outcome = await both.copier().copy(both.tagged("1.0", image))
        assert outcome.failure is None
        assert outcome.target_digest == image.digest
        lines = requests(both.at_target, "POST", "PUT")
        puts = [line for line in lines if line.startswith("PUT manifests/")]
        assert set(puts[:2]) == {f"PUT manifests/{child.digest}" for child in inner.children}
        assert puts[2:] == [f"PUT manifests/{inner.digest}", "PUT manifests/1.0"]
        for child in inner.children:
            mine = single("copy/order", _platform(child.digest, inner)).blobs
            place = lines.index(f"PUT manifests/{child.digest}")
            finished = _finished(both.at_target, place)
            assert set(mine) <= finished
        assert outcome.blobs == BlobTally(copied=len(image.blobs))
        assert outcome.bytes_copied == sum(map(len, image.blobs.values()))
        assert {blob.digest for blob in outcome.placed} == set(image.blobs)


def _platform(child: str, image: Image) -> dict[str, str]:
    """The platform of a child of a two-platform image."""
    return BOTH[[content.digest for content in image.children].index(child)]


def _finished(registry: FakeRegistry, place: int) -> set[str]:
    """The blobs whose upload was sent before the writing request of that number."""
    writes = [one for one in registry.exchanges if one.method in ("POST", "PUT")]
    return {
        part.removeprefix("digest=").replace("%3A", ":")
        for one in writes[:place]
        for part in one.query.split("&")
        if part.startswith("digest=")
    }


async def test_a_child_of_several_indexes_and_a_blob_of_several_images_go_once() -> None:
    async with sides() as both:
        child = single("copy/shared")
        first, second = (
            over(index([child.root.descriptor()], annotations={"n": name}), [child])
            for name in ("first", "second")
        )
        copier = both.copier()
        one = await copier.copy(both.tagged("1.0", first))
        two = await copier.copy(both.tagged("2.0", second))
        assert one.blobs == BlobTally(copied=len(child.blobs))
        assert two.blobs == BlobTally(reused=len(child.blobs))
        assert two.bytes_copied == 0
        assert requests(both.at_target, "PUT").count(f"PUT manifests/{child.digest}") == 1
        assert both.tags == {"1.0": first.digest, "2.0": second.digest}


async def test_a_manifest_that_is_refused_for_want_of_a_blob_corrects_the_record() -> None:
    async with sides() as both:
        image = single("copy/lost")
        lost = next(iter(image.blobs))
        copier = both.copier(holdings=(*image.blobs,))
        for one in set(image.blobs) - {lost}:
            both.at_target.store.add_blob(TARGET, image.blobs[one])
        outcome = await copier.copy(both.tagged("1.0", image))
        assert outcome.failure is None
        assert outcome.lost == (lost,)
        assert both.tags == {"1.0": image.digest}
        assert lost in both.at_target.store.repository(TARGET).blobs


async def test_a_manifest_that_is_refused_again_fails_its_tag() -> None:
    async with sides() as both:
        refusal = Respond(404, "MANIFEST_BLOB_UNKNOWN")
        both.at_target.faults.add(Rule("PUT .*/manifests/", refusal, times=None))
        outcome = await both.copier().copy(both.tagged("1.0", single("copy/refused")))
        assert outcome.failure is not None
        assert outcome.failure.reason is Reason.NOT_FOUND
        puts = requests(both.at_target, "PUT").count("PUT manifests/1.0")
        assert 2 < puts <= 2 * PUTS_UNTIL_VISIBLE, "as blobs just uploaded, then as blobs recorded"


async def test_children_are_put_again_once_the_record_proved_wrong() -> None:
    """The child was put in this run; the registry lost it before its index came."""
    async with sides() as both:
        image = multi_platform("copy/children")
        both.at_target.faults.add(
            Rule(
                "PUT .*/manifests/1.0",
                Respond(404, "MANIFEST_BLOB_UNKNOWN"),
                times=PUTS_UNTIL_VISIBLE,
            )
        )
        outcome = await both.copier().copy(both.tagged("1.0", image))
        assert outcome.failure is None
        puts = requests(both.at_target, "PUT")
        assert [puts.count(f"PUT manifests/{one.digest}") for one in image.children] == [2, 2]


@pytest.mark.parametrize("artifacts", [True, False])
async def test_attestations_that_are_refused_are_left_out_and_not_tried_again(
    artifacts: bool,
) -> None:
    async with sides(quirks.REFUSES_ATTESTATIONS) as both:
        copier = both.copier()
        image = attested("copy/refused/1", artifacts=artifacts)
        outcome = await copier.copy(both.tagged("1.0", image))
        assert outcome.failure is None
        assert outcome.target_digest not in (None, image.digest)
        assert {drop.digest for drop in outcome.dropped} == {
            child.digest for child in image.children[2:]
        }
        assert {drop.reason for drop in outcome.dropped} == {DropReason.ATTESTATION_REFUSED}
        both.at_target.exchanges.clear()
        again = await copier.copy(
            both.tagged("2.0", attested("copy/refused/2", artifacts=artifacts))
        )
        assert len(again.dropped) == 2
        looks = [one for one in requests(both.at_target, "GET") if "blobs/" in one]
        refused = [one.status for one in both.at_target.exchanges if one.status >= 400]
        assert refused == [404] * len(looks), "only blobs that are not there"
        held = both.at_target.store.repository(TARGET).manifests
        assert {child.digest for child in image.children[:2]} <= set(held)


async def test_a_child_that_is_no_attestation_and_is_refused_fails_its_tag() -> None:
    async with sides() as both:
        image = multi_platform("copy/refused child")
        refusal = Respond(415, "UNSUPPORTED", "this media type is not allowed")
        line = f"PUT .*/manifests/{image.children[0].digest}"
        both.at_target.faults.add(Rule(line, refusal, times=None))
        outcome = await both.copier().copy(both.tagged("1.0", image))
        assert outcome.failure is not None
        assert both.tags == {}


async def test_platforms_that_leave_nothing_of_a_tag_fail_it_with_what_to_do() -> None:
    async with sides() as both:
        copier = both.copier(images=ImageRules(platforms=("linux/s390x",)))
        outcome = await copier.copy(both.tagged("1.0", multi_platform("copy/platforms")))
        assert outcome.failure is not None
        assert outcome.failure.reason is Reason.NOT_FOUND
        assert "no image for any of the platforms linux/s390x" in outcome.failure.message
        assert both.tags == {}


async def test_a_layer_that_must_not_be_distributed_is_recorded_and_not_read() -> None:
    async with sides() as both:
        image = foreign_layers("copy/foreign")
        outcome = await both.copier().copy(both.tagged("1.0", image))
        assert outcome.failure is None
        assert [drop.reason for drop in outcome.dropped] == [DropReason.NON_DISTRIBUTABLE]
        assert outcome.dropped[0].digest not in {
            line.rpartition("/")[2] for line in requests(both.at_source)
        }
        assert both.tags == {"1.0": image.digest}


async def test_what_arrived_before_a_failure_is_kept_in_its_outcome() -> None:
    async with sides() as both:
        image = single("copy/partly")
        change = both.tagged("1.0", image)
        missing = next(iter(image.blobs))
        both.at_source.store.repository(SOURCE).blobs.remove(missing)
        outcome = await both.copier().copy(change)
        assert outcome.failure is not None
        assert outcome.failure.reason is Reason.NOT_FOUND
        assert outcome.target_digest is None
        assert {blob.digest for blob in outcome.placed} == set(image.blobs) - {missing}
        assert outcome.bytes_copied == sum(blob.size for blob in outcome.placed)


async def test_referrers_come_after_what_they_refer_to_and_before_the_tag() -> None:
    async with sides() as both:
        image = single("copy/referrer")
        sbom = artifact("copy/referrer/sbom", image.root)
        seed(both.at_source.store, SOURCE, (), sbom)
        outcome = await both.copier().copy(both.tagged("1.0", image))
        assert outcome.referrers == 1
        puts = [line for line in requests(both.at_target, "PUT") if "manifests/" in line]
        assert puts == [f"PUT manifests/{sbom.digest}", "PUT manifests/1.0"]
        both.at_target.exchanges.clear()
        assert (await both.copier(referrers=False).copy(change("2.0", image.digest))).referrers == 0


BACKUP = TagRules(backup="{tag}-{digest}")
OLD, NEW = single("copy/old"), single("copy/new")


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (ChangeKind.MOVED, True),
        (ChangeKind.DRIFTED, True),
        (ChangeKind.NEW, False),
        (ChangeKind.MISSING, False),
        (ChangeKind.REFERRERS, False),
    ],
)
async def test_what_is_overwritten_is_kept_under_another_tag(kind: ChangeKind, kept: bool) -> None:
    async with sides() as both:
        both.tagged("1.0", NEW)
        seed(both.at_target.store, TARGET, "1.0", OLD)
        moved = change("1.0", NEW.digest, kind, previous=OLD.digest)
        outcome = await both.copier(tags=BACKUP).copy(moved)
        assert outcome.failure is None
        backup = {f"1.0-{OLD.digest[7:19]}": OLD.digest} if kept else {}
        assert both.tags == {"1.0": NEW.digest, **backup}
        if kept:
            puts = [line for line in requests(both.at_target, "PUT") if "manifests/" in line]
            assert puts[-1] == "PUT manifests/1.0", "the backup comes first"


async def test_what_the_target_no_longer_has_is_not_kept() -> None:
    async with sides() as both:
        both.tagged("1.0", NEW)
        moved = change("1.0", NEW.digest, ChangeKind.MOVED, previous=digest(1))
        assert (await both.copier(tags=BACKUP).copy(moved)).failure is None
        assert both.tags == {"1.0": NEW.digest}


async def test_nothing_is_kept_where_the_rules_do_not_say_so() -> None:
    async with sides() as both:
        both.tagged("1.0", NEW)
        seed(both.at_target.store, TARGET, "1.0", OLD)
        moved = change("1.0", NEW.digest, ChangeKind.MOVED, previous=OLD.digest)
        assert (await both.copier().copy(moved)).failure is None
        assert both.tags == {"1.0": NEW.digest}


async def test_the_manifests_put_last_are_kept() -> None:
    async with sides() as both:
        copier = both.copier()
        image = single("copy/kept", sizes=(100,))
        await copier.copy(both.tagged("1.0", image))
        kept = copier.put.get(image.digest)
        assert kept is not None
        assert kept.raw == image.root.raw


async def test_a_manifest_is_read_once_for_all_tags_that_have_it() -> None:
    async with sides() as both:
        image = single("copy/once")
        copier = both.copier()
        for tag in ("1.0", "latest"):
            assert (await copier.copy(both.tagged(tag, image))).failure is None
        assert requests(both.at_source, "GET").count(f"GET manifests/{image.digest}") == 1
        assert both.tags == {"1.0": image.digest, "latest": image.digest}
