"""The ladder of a blob: recorded, present, mounted, shared, streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mirror.outcome import BlobTally, Dropped, DropReason, PlacedBlob
from mirror.registry import Descriptor, DigestMismatch, RegistryError, Repository
from mirror.sync.copying.blob_placement import BlobPlacer, CopyStats, Placement, SharedUploads
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET
from tests.sync.parts import digest, repository_at, requests

CONTENT = b"a layer" * 100
ELSEWHERE = "hagicode/elsewhere"
OCTETS = "application/octet-stream"


@dataclass
class Sides:
    """A source that holds the blob, a target, and a repository of each."""

    at_source: FakeRegistry
    at_target: FakeRegistry
    source: Repository
    target: Repository
    blob: Descriptor = field(init=False)

    def __post_init__(self) -> None:
        found = self.at_source.store.add_blob(SOURCE, CONTENT)
        self.blob = Descriptor(OCTETS, found, len(CONTENT))

    def placer(self, **options: Any) -> BlobPlacer:
        """A placer between the two."""
        return BlobPlacer(self.source, self.target, **options)

    def holds(self, repository: str = TARGET) -> bool:
        """True if the target has the blob, with its bytes."""
        held = self.at_target.store.blob(repository, self.blob.digest)
        return held is not None and held.read() == CONTENT

    def mounts(self) -> list[str]:
        """The mounts that the target was asked for."""
        return [one.line for one in self.at_target.exchanges if "mount=" in one.query]


@asynccontextmanager
async def sides(behaviour: Behaviour | None = None) -> AsyncIterator[Sides]:
    """A source and a target."""
    async with (
        FakeRegistry() as at_source,
        FakeRegistry(behaviour) as at_target,
        repository_at(at_source, SOURCE) as source,
        repository_at(at_target) as target,
    ):
        yield Sides(at_source, at_target, source, target)


class Holders:
    """What the record knows of other repositories; what it was asked for."""

    def __init__(self, *known: str) -> None:
        self.known = known
        self.asked: list[Collection[str]] = []

    async def __call__(self, digests: Sequence[str]) -> Mapping[str, str]:
        self.asked.append(digests)
        return {one: ELSEWHERE for one in digests if one in self.known}


async def test_a_recorded_blob_costs_no_request() -> None:
    async with sides() as both:
        placer = both.placer(holdings={both.blob.digest})
        assert await placer.place(both.blob) is Placement.REUSED
        assert both.at_source.exchanges == both.at_target.exchanges == []


async def test_a_blob_that_the_target_has_costs_a_look() -> None:
    async with sides() as both:
        both.at_target.store.add_blob(TARGET, CONTENT)
        assert await both.placer().place(both.blob) is Placement.REUSED
        assert requests(both.at_target) == [f"GET blobs/{both.blob.digest}"]
        assert both.at_source.exchanges == []


async def test_a_blob_that_the_target_has_in_another_size_is_copied() -> None:
    """A registry that stored half of it says so by the length alone."""
    async with sides() as both:
        line = f"HEAD .*/blobs/{both.blob.digest}"
        both.at_target.faults.add(
            Rule(line, Respond(200, headers={"Content-Length": "3"}, body=b"abc"))
        )
        assert await both.placer().place(both.blob) is Placement.COPIED
        assert both.holds()


async def test_a_blob_of_another_repository_of_the_target_is_mounted() -> None:
    async with sides() as both:
        both.at_target.store.add_blob(ELSEWHERE, CONTENT)
        holders = Holders(both.blob.digest)
        placer = both.placer(holders=holders)
        await placer.prepare([both.blob])
        assert await placer.place(both.blob) is Placement.MOUNTED
        assert both.holds()
        assert both.at_source.exchanges == []


async def test_a_blob_that_cannot_be_mounted_is_streamed() -> None:
    async with sides(Behaviour(mount=False)) as both:
        both.at_target.store.add_blob(ELSEWHERE, CONTENT)
        placer = both.placer(holders=Holders(both.blob.digest))
        await placer.prepare([both.blob])
        assert await placer.place(both.blob) is Placement.COPIED
        assert both.holds()


async def test_the_record_is_asked_once_and_only_for_what_is_missing_here() -> None:
    async with sides() as both:
        holders = Holders()
        here = Descriptor(OCTETS, digest(1), 1)
        placer = both.placer(holders=holders, holdings={here.digest})
        await placer.prepare([here])
        assert holders.asked == []
        await placer.prepare([here, both.blob])
        assert holders.asked == [[both.blob.digest]]
        await both.placer().prepare([both.blob])  # nothing is known of other repositories


async def test_of_a_large_record_only_what_a_manifest_names_is_asked_for() -> None:
    """The history of a repository with millions of blobs is not loaded."""
    async with sides() as both:

        async def here(digests: Sequence[str]) -> Mapping[str, str]:
            return dict.fromkeys(digests, TARGET)

        placer = both.placer(holders=here)
        await placer.prepare([both.blob])
        assert await placer.place(both.blob) is Placement.REUSED
        assert not both.at_target.exchanges
        placer.distrust()  # the registry refused the manifest
        await placer.prepare([both.blob])
        assert await placer.place(both.blob) is Placement.COPIED
        assert both.holds()
        assert placer.lost == {both.blob.digest}


async def test_what_is_nowhere_is_streamed_and_its_bytes_are_counted() -> None:
    async with sides() as both:
        expected: list[int] = []
        passed: list[int] = []
        placer = both.placer(expect=expected.append, progress=passed.append)
        assert await placer.place(both.blob) is Placement.COPIED
        assert both.holds()
        assert expected == [len(CONTENT)]
        assert sum(passed) == len(CONTENT)
        assert await placer.place(both.blob) is Placement.REUSED, "it is known now"
        assert len(requests(both.at_source)) == 1


async def test_a_small_blob_is_sent_without_asking() -> None:
    """To ask takes a round trip more, and the bytes of the blob as well."""
    async with sides() as both:
        both.at_target.store.add_blob(TARGET, CONTENT)
        assert await both.placer(look_for_small=False).place(both.blob) is Placement.COPIED
        assert requests(both.at_target, "GET") == []


async def test_what_the_record_is_wrong_about_is_asked_for_however_small() -> None:
    async with sides() as both:
        both.at_target.store.add_blob(TARGET, CONTENT)
        placer = both.placer(look_for_small=False)
        placer.distrust()
        assert await placer.place(both.blob) is Placement.REUSED


async def test_an_empty_target_is_not_asked() -> None:
    async with sides() as both:
        assert await both.placer(look_first=False).place(both.blob) is Placement.COPIED
        assert requests(both.at_target, "HEAD") == []


async def test_a_blob_of_many_tags_is_placed_once() -> None:
    async with sides() as both:
        placer = both.placer()
        found = await asyncio.gather(*(placer.place(both.blob) for _ in range(5)))
        assert sorted(found, key=lambda one: one.value) == [
            Placement.COPIED,
            *[Placement.REUSED] * 4,
        ]
        assert len(requests(both.at_source)) == 1


async def test_a_blob_of_two_mirrors_is_uploaded_once_and_mounted_to_the_other() -> None:
    async with sides() as both:
        shared = SharedUploads()
        other = Repository(both.target.registry, ELSEWHERE)
        placers = [both.placer(shared=shared), BlobPlacer(both.source, other, shared=shared)]
        found = await asyncio.gather(*(placer.place(both.blob) for placer in placers))
        assert set(found) == {Placement.COPIED, Placement.MOUNTED}
        assert both.holds(TARGET)
        assert both.holds(ELSEWHERE)
        assert len(requests(both.at_source)) == 1


async def test_a_shared_blob_that_cannot_be_mounted_is_uploaded_to_each() -> None:
    async with sides(Behaviour(mount=False)) as both:
        shared = SharedUploads()
        other = Repository(both.target.registry, ELSEWHERE)
        placers = [both.placer(shared=shared), BlobPlacer(both.source, other, shared=shared)]
        found = await asyncio.gather(*(placer.place(both.blob) for placer in placers))
        assert found == [Placement.COPIED, Placement.COPIED]
        assert both.holds(TARGET)
        assert both.holds(ELSEWHERE)


async def test_the_same_blob_at_two_registries_is_uploaded_to_both() -> None:
    async with sides() as one, sides() as two:
        shared = SharedUploads()
        assert await one.placer(shared=shared).place(one.blob) is Placement.COPIED
        other = Repository(two.target.registry, ELSEWHERE)
        placer = BlobPlacer(two.source, other, shared=shared)
        assert await placer.place(two.blob) is Placement.COPIED
        assert one.holds(TARGET)
        assert two.holds(ELSEWHERE)
        assert not two.mounts(), "nothing of the other registry can be mounted"


async def test_a_shared_upload_of_an_earlier_run_that_is_gone_is_uploaded_again() -> None:
    """The other run placed it here; the registry has lost it since."""
    async with sides() as both:
        shared = SharedUploads()
        assert await both.placer(shared=shared).place(both.blob) is Placement.COPIED
        both.at_target.store.repository(TARGET).blobs.clear()
        assert await both.placer(shared=shared).place(both.blob) is Placement.COPIED
        assert both.holds()
        assert not both.mounts(), "a repository mounts nothing from itself"


async def test_a_failed_upload_is_not_remembered() -> None:
    async with sides() as both:
        both.at_source.faults.add(Rule("GET .*/blobs/", Respond(403, "DENIED"), times=2))
        placer = both.placer(shared=SharedUploads())
        with pytest.raises(RegistryError):
            await placer.place(both.blob)
        both.at_source.faults.clear()
        assert await placer.place(both.blob) is Placement.COPIED
        assert both.holds()


async def test_once_distrusted_the_record_is_checked_and_what_is_lost_is_named() -> None:
    async with sides() as both:
        there = both.at_target.store.add_blob(TARGET, b"still there")
        present = Descriptor(OCTETS, there, len(b"still there"))
        placer = both.placer(holdings={both.blob.digest, there}, look_first=False)
        assert await placer.place(both.blob) is Placement.REUSED
        placer.distrust()
        assert await placer.place(present) is Placement.REUSED
        assert await placer.place(both.blob) is Placement.COPIED
        assert placer.lost == {both.blob.digest}
        assert both.holds()
        assert f"GET blobs/{there}" in requests(both.at_target)


async def test_what_was_placed_in_this_run_is_looked_for_after_distrust_too() -> None:
    async with sides() as both:
        placer = both.placer()
        await placer.place(both.blob)
        placer.distrust()
        both.at_target.exchanges.clear()
        assert await placer.place(both.blob) is Placement.REUSED
        assert requests(both.at_target) == [f"GET blobs/{both.blob.digest}"]


async def test_a_blob_that_two_manifests_give_different_sizes_is_refused() -> None:
    async with sides() as both:
        placer = both.placer()
        await placer.place(both.blob)
        other = replace(both.blob, size=both.blob.size + 1)
        with pytest.raises(DigestMismatch, match="the image is broken at the source"):
            await placer.place(other)


async def test_a_blob_of_another_size_than_its_descriptor_says_is_never_placed() -> None:
    async with sides() as both:
        with pytest.raises(DigestMismatch):
            await both.placer().place(replace(both.blob, size=both.blob.size - 1))
        assert not both.holds()


def test_the_stats_of_parts_add_up() -> None:
    drop = Dropped(digest(1), OCTETS, DropReason.PLATFORM)
    part = CopyStats(bytes_copied=5, placed=[PlacedBlob(digest(2), 5)], referrers=1)
    part.tally[Placement.COPIED] = 1
    part.dropped[drop.digest] = drop
    whole = CopyStats(bytes_copied=1)
    whole.tally[Placement.MOUNTED] = 2
    whole.add(part)
    whole.add(part)
    assert whole.blobs == BlobTally(copied=2, mounted=2, reused=0)
    assert (whole.bytes_copied, whole.referrers) == (11, 2)
    assert whole.placed == [PlacedBlob(digest(2), 5)] * 2
    assert whole.dropped == {drop.digest: drop}
    assert part.blobs == BlobTally(copied=1)
