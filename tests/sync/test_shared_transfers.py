"""What syncs of one source read once: blobs by way of a file, small blobs, manifests."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.local.sample_registry.images import single
from mirror.registry import Denied, Descriptor, DigestMismatch, Registry, Repository, copy_blob
from mirror.sync.copying import shared_transfers
from mirror.sync.copying.shared_transfers import SharedTransfers
from tests.support.fake_registry.faults import Corrupt, Drop, Hang, Respond, Rule, Side
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, endpoint_of, seed

MIB = 1 << 20
SIZE = 6 * MIB  # more than is kept in memory
OCTETS = "application/octet-stream"
A_BLOB = "GET .*/blobs/"
FOREVER = 600.0


@dataclass
class Fleet:
    """A source with a blob, two targets, and a client of the source for each of two syncs."""

    origin: FakeRegistry
    targets: list[FakeRegistry]
    shared: SharedTransfers
    sources: list[Repository]
    theirs: list[Repository]
    data: bytes
    blob: Descriptor

    async def copy(self, mirror: int) -> None:
        """Copy the blob to one of the targets."""
        await copy_blob(self.sources[mirror], self.theirs[mirror], self.blob)

    def arrived(self, mirror: int) -> bool:
        """True if a target holds the blob, whole and right."""
        held = self.targets[mirror].store.blob(TARGET, self.blob.digest)
        return held is not None and held.read() == self.data

    def bytes_down(self) -> int:
        """Bytes that the source sent."""
        return sum(one.sent for one in self.origin.exchanges)


@asynccontextmanager
async def fleet(folder: Path, size: int = SIZE) -> AsyncIterator[Fleet]:
    """A source and two mirrors of it in one process."""
    async with AsyncExitStack() as stack:
        registries = [await stack.enter_async_context(FakeRegistry()) for _ in range(3)]
        shared = stack.enter_context(SharedTransfers(folder))
        sources, theirs = [], []
        for target in registries[1:]:
            at_source = await stack.enter_async_context(Registry(endpoint_of(registries[0])))
            at_target = await stack.enter_async_context(Registry(endpoint_of(target)))
            sources.append(stack.enter_context(shared.source(at_source, SOURCE)))
            theirs.append(at_target.repository(TARGET))
        data = os.urandom(size)
        blob = Descriptor(OCTETS, registries[0].store.add_blob(SOURCE, data), size)
        yield Fleet(registries[0], registries[1:], shared, sources, theirs, data, blob)


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    while not condition():  # noqa: ASYNC110 - what it waits for has no event
        await asyncio.sleep(0.005)


async def test_a_blob_of_two_mirrors_is_read_once(tmp_path: Path) -> None:
    async with fleet(tmp_path) as both:
        await asyncio.gather(both.copy(0), both.copy(1))
        assert both.arrived(0)
        assert both.arrived(1)
        assert both.bytes_down() == SIZE


async def test_a_sync_that_starts_later_reads_what_was_kept(tmp_path: Path) -> None:
    async with fleet(tmp_path) as both:
        await both.copy(0)
        await both.copy(1)
        assert both.arrived(1)
        assert both.bytes_down() == SIZE
        assert not list(tmp_path.iterdir()), "the file has no name, so a killed process leaves none"


@pytest.mark.parametrize("slow", [0, 1])
async def test_a_target_that_stands_still_holds_back_no_other(tmp_path: Path, slow: int) -> None:
    """Whichever of the two fetches."""
    async with fleet(tmp_path) as both:
        hang = Hang(FOREVER, after=MIB, side=Side.REQUEST)
        both.targets[slow].faults.add(Rule("(PUT|PATCH) ", hang))
        standing = asyncio.create_task(both.copy(slow))
        try:
            await both.copy(1 - slow)
            assert both.arrived(1 - slow)
            assert both.bytes_down() == SIZE
            assert not standing.done()
        finally:
            standing.cancel()
            await asyncio.gather(standing, return_exceptions=True)


async def test_where_the_fetching_sync_ends_the_other_goes_on_from_there(tmp_path: Path) -> None:
    async with fleet(tmp_path) as both:
        hang = Hang(FOREVER, after=3 * MIB, side=Side.RESPONSE)
        both.origin.faults.add(Rule(A_BLOB, hang, times=1))
        first = asyncio.create_task(both.copy(0))
        await until(lambda: both.origin.exchanges)
        second = asyncio.create_task(both.copy(1))
        await until(lambda: both.targets[1].exchanges)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await second
        assert both.arrived(1)
        assert both.bytes_down() < SIZE + 4 * MIB


async def test_what_arrived_garbled_is_not_kept(tmp_path: Path) -> None:
    async with fleet(tmp_path) as both:
        both.origin.faults.add(Rule(A_BLOB, Corrupt(3 * MIB), times=1))
        await asyncio.gather(both.copy(0), both.copy(1))
        assert both.arrived(0)
        assert both.arrived(1)


async def test_a_source_that_is_wrong_fails_both(tmp_path: Path) -> None:
    async with fleet(tmp_path) as both:
        both.origin.faults.add(Rule(A_BLOB, Corrupt(3 * MIB), times=None))
        results = await asyncio.gather(both.copy(0), both.copy(1), return_exceptions=True)
        assert [type(result) for result in results] == [DigestMismatch, DigestMismatch]
        assert not both.arrived(0)
        assert not both.arrived(1)


async def test_an_upload_that_broke_resumes_from_what_was_kept(tmp_path: Path) -> None:
    async with fleet(tmp_path) as both:
        drop = Drop(after=5 * MIB, side=Side.REQUEST)
        both.targets[1].faults.add(Rule("(PUT|PATCH) ", drop, times=2))
        await asyncio.gather(both.copy(0), both.copy(1))
        assert both.arrived(0)
        assert both.arrived(1)
        assert both.bytes_down() == SIZE


async def test_a_full_disk_makes_each_read_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    async with fleet(tmp_path) as both:
        await asyncio.gather(both.copy(0), both.copy(1))
        assert both.arrived(0)
        assert both.arrived(1)


async def test_a_folder_that_cannot_be_written_makes_each_read_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("in the way")
    async with fleet(folder) as both:
        await asyncio.gather(both.copy(0), both.copy(1))
        assert both.arrived(0)
        assert both.arrived(1)
        assert both.bytes_down() == 2 * SIZE
        assert both.shared.trouble == f"{folder}: File exists"


async def test_a_blob_larger_than_the_room_is_read_by_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_transfers, "_ON_DISK", SIZE - 1)
    async with fleet(tmp_path) as both:
        await asyncio.gather(both.copy(0), both.copy(1))
        assert both.arrived(0)
        assert both.arrived(1)
        assert both.bytes_down() == 2 * SIZE


async def test_what_was_not_used_for_longest_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_transfers, "_ON_DISK", SIZE + MIB)
    async with fleet(tmp_path) as both:
        await both.copy(0)
        other = both.origin.store.add_blob(SOURCE, both.data[: 2 * MIB])
        second = Descriptor(OCTETS, other, 2 * MIB)
        for source, target in zip(both.sources, both.theirs, strict=True):
            await copy_blob(source, target, second)
        assert both.bytes_down() == SIZE + 2 * MIB
        await both.copy(1)
        assert both.bytes_down() == 2 * SIZE + 2 * MIB


async def test_a_small_blob_is_read_once(tmp_path: Path) -> None:
    async with fleet(tmp_path, size=1000) as both:
        await asyncio.gather(both.copy(0), both.copy(1))
        assert both.arrived(0)
        assert both.arrived(1)
        assert both.bytes_down() == 1000


async def test_what_one_could_not_read_the_other_reads_by_itself(tmp_path: Path) -> None:
    """Each has credentials and budgets; a refusal of one says nothing of the other."""
    async with fleet(tmp_path, size=1000) as both:
        both.origin.faults.add(Rule(A_BLOB, Respond(403, "DENIED"), times=1))
        results = await asyncio.gather(both.copy(0), both.copy(1), return_exceptions=True)
        assert [type(result) for result in results if result] == [Denied]
        assert both.arrived(0) != both.arrived(1)


async def test_a_manifest_is_read_once_by_digest_and_anew_by_tag(tmp_path: Path) -> None:
    """A tag may move; what a digest names does not. Docker Hub counts each reading as a pull."""
    async with fleet(tmp_path) as both:
        digest = seed(both.origin.store, SOURCE, "latest", single("one"))
        found = await asyncio.gather(*(one.get_manifest(digest) for one in both.sources))
        assert {one.digest for one in found} == {digest}
        assert len(both.origin.exchanges) == 1
        for one in both.sources:
            await one.get_manifest("latest")
        assert len(both.origin.exchanges) == 3
