"""Verification: what it finds, what it requests, and that nobody waits for it for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flows.local.sample_registry.content import (
    Image,
    blobs_of,
    image_config,
    index,
    layer,
    manifest,
)
from flows.local.sample_registry.images import AMD64, over, single
from mirror.outcome import CopyOutcome, Reason, TagFailure, Verification
from mirror.registry import Repository
from mirror.sync.step import StepTimer
from mirror.sync.verify import VerificationQueue, Verifier
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.oddities import foreign_layers
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import TARGET, seed
from tests.sync.parts import NOON, copied, digest, repository_at, requests

HANG = 30  # seconds until a test that waits for ever is stopped


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    """A registry."""
    async with FakeRegistry() as registry:
        yield registry


@pytest.fixture
async def target(registry: FakeRegistry) -> AsyncIterator[Repository]:
    """Its repository."""
    async with repository_at(registry) as repository:
        yield repository


async def failure_of(target: Repository, tag: str, digest: str) -> TagFailure | None:
    """What the verification of a tag finds."""
    return (await Verifier(target).verify(copied(tag, digest))).failure


@pytest.mark.parametrize("image", [single("verify"), multi_platform("verify")])
async def test_a_tag_that_is_whole_passes(
    registry: FakeRegistry, target: Repository, image: Image
) -> None:
    seed(registry.store, TARGET, "1.0", image)
    assert await failure_of(target, "1.0", image.digest) is None
    seen = {line.rpartition("/")[2] for line in requests(registry)}
    assert seen == {"1.0", *(child.digest for child in image.children), *image.blobs}


async def test_a_tag_that_points_elsewhere_is_a_digest_mismatch(
    registry: FakeRegistry, target: Repository
) -> None:
    image = single("verify/other")
    seed(registry.store, TARGET, "1.0", image)
    failure = await failure_of(target, "1.0", digest(1))
    assert failure is not None
    assert failure.reason is Reason.DIGEST_MISMATCH
    assert f"{registry.host}/{TARGET}:1.0 is {image.digest} where {digest(1)} was put" in (
        failure.message
    )


async def test_a_missing_blob_is_not_found(registry: FakeRegistry, target: Repository) -> None:
    image = multi_platform("verify/missing")
    seed(registry.store, TARGET, "1.0", image)
    lost = next(iter(image.blobs))
    registry.store.repository(TARGET).blobs.remove(lost)
    failure = await failure_of(target, "1.0", image.digest)
    assert failure is not None
    assert failure.reason is Reason.NOT_FOUND
    assert f"blob {registry.host}/{TARGET}@{lost} is missing" in failure.message


async def test_a_missing_child_is_not_found(registry: FakeRegistry, target: Repository) -> None:
    image = multi_platform("verify/child")
    seed(registry.store, TARGET, "1.0", image)
    lost = image.children[1].digest
    del registry.store.repository(TARGET).manifests[lost]
    failure = await failure_of(target, "1.0", image.digest)
    assert failure is not None
    assert failure.reason is Reason.NOT_FOUND
    assert failure.message.startswith("verification: ")
    assert lost in failure.message


async def test_a_blob_of_another_size_is_a_digest_mismatch(
    registry: FakeRegistry, target: Repository
) -> None:
    content = layer("verify/size")
    config = image_config([content], AMD64)
    described = content.descriptor() | {"size": len(content.raw) + 1}
    image = Image(manifest(config, [described]), blobs=blobs_of(config, content))
    seed(registry.store, TARGET, "1.0", image)
    failure = await failure_of(target, "1.0", image.digest)
    assert failure is not None
    assert failure.reason is Reason.DIGEST_MISMATCH
    assert f"has {len(content.raw)} bytes where its manifest says {len(content.raw) + 1}" in (
        failure.message
    )


async def test_a_child_of_another_size_is_a_digest_mismatch(
    registry: FakeRegistry, target: Repository
) -> None:
    child = single("verify/child size")
    size = len(child.root.raw)
    image = over(index([child.root.descriptor() | {"size": size - 1}]), [child])
    seed(registry.store, TARGET, "1.0", image)
    failure = await failure_of(target, "1.0", image.digest)
    assert failure is not None
    assert failure.reason is Reason.DIGEST_MISMATCH
    assert f"has {size} bytes where its index says {size - 1}" in failure.message


async def test_layers_that_must_not_be_distributed_are_not_looked_for(
    registry: FakeRegistry, target: Repository
) -> None:
    image = foreign_layers("verify/foreign")
    seed(registry.store, TARGET, "1.0", image)
    assert await failure_of(target, "1.0", image.digest) is None
    looks = [line for line in requests(registry, "GET") if "blobs/" in line]
    assert len(looks) == len(image.blobs)


async def test_a_registry_that_fails_is_a_failure_of_the_tag(
    registry: FakeRegistry, target: Repository
) -> None:
    image = single("verify/denied")
    seed(registry.store, TARGET, "1.0", image)
    registry.faults.add(Rule("/blobs/", Respond(403, "DENIED"), times=None))
    failure = await failure_of(target, "1.0", image.digest)
    assert failure is not None
    assert failure.reason is Reason.AUTH
    assert failure.message.startswith("verification: ")


async def test_what_was_seen_once_is_not_requested_again_in_the_run(
    registry: FakeRegistry, target: Repository
) -> None:
    image = multi_platform("verify/shared")
    seed(registry.store, TARGET, ("1.0", "latest"), image)
    verifier = Verifier(target)
    for tag in ("1.0", "latest"):
        assert (await verifier.verify(copied(tag, image.digest))).failure is None
    lines = requests(registry)
    assert len(lines) == len(set(lines))
    assert len(lines) == 2 + len(image.children) + len(image.blobs)


async def test_a_blob_that_two_images_share_is_looked_for_once(
    registry: FakeRegistry, target: Repository
) -> None:
    base = layer("verify/base")
    verifier = Verifier(target)
    for tag in ("1.0", "2.0"):
        image = single(f"verify/{tag}", shared=[base])
        seed(registry.store, TARGET, tag, image)
        assert (await verifier.verify(copied(tag, image.digest))).failure is None
    assert requests(registry).count(f"GET blobs/{base.digest}") == 1


async def test_what_failed_once_is_requested_again_for_the_next_tag(
    registry: FakeRegistry, target: Repository
) -> None:
    """Else one lost blob would pass for the second tag that has it."""
    image = single("verify/again")
    seed(registry.store, TARGET, ("1.0", "latest"), image)
    lost = next(iter(image.blobs))
    registry.store.repository(TARGET).blobs.remove(lost)
    verifier = Verifier(target)
    for tag in ("1.0", "latest"):
        assert (await verifier.verify(copied(tag, image.digest))).failure is not None
    registry.store.repository(TARGET).blobs.add(lost)
    assert (await verifier.verify(copied("1.0", image.digest))).failure is None


class Verifying(Verifier):
    """A verifier that ends when the test says so; tags `bad…` fail, `broken…` raise."""

    def __init__(self) -> None:
        self.tags: list[str] = []
        self.may_end = asyncio.Event()

    async def verify(self, copied: CopyOutcome) -> Verification:
        tag = copied.change.tag
        self.tags.append(tag)
        if tag.startswith("broken"):
            raise ZeroDivisionError(tag)
        await self.may_end.wait()
        failed = TagFailure(tag, Reason.NOT_FOUND, tag) if tag.startswith("bad") else None
        return Verification(copied.change, NOON, failed)


def submitted(queue: VerificationQueue, *tags: str) -> list[asyncio.Task[Any]]:
    """Tags that wait for their verification."""
    return [asyncio.create_task(queue.submit(copied(tag, digest(1)))) for tag in tags]


async def settle() -> None:
    """Let every task that can run do so until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_submitted_tags_are_verified_at_once_and_each_gets_its_own_result() -> None:
    verifier = Verifying()
    queue = VerificationQueue(verifier, StepTimer())
    running = asyncio.create_task(queue.run())
    tags = submitted(queue, "good", "bad", "fine")
    await settle()
    assert verifier.tags == ["good", "bad", "fine"], "none waits for another"
    verifier.may_end.set()
    results = await asyncio.gather(*tags)
    assert [result.change.tag for result in results] == ["good", "bad", "fine"]
    assert [result.failure is None for result in results] == [True, False, True]
    queue.close()
    assert await running == 3


async def test_the_queue_runs_until_it_is_closed_and_ends_what_it_began() -> None:
    verifier = Verifying()
    queue = VerificationQueue(verifier, StepTimer())
    running = asyncio.create_task(queue.run())
    tags = submitted(queue, "good")
    await settle()
    queue.close()
    await settle()
    assert not running.done()
    verifier.may_end.set()
    assert await running == 1
    assert (await tags[0]).failure is None


async def test_a_queue_to_which_nothing_was_submitted_ends() -> None:
    queue = VerificationQueue(Verifying(), StepTimer())
    queue.close()
    async with asyncio.timeout(HANG):
        assert await queue.run() == 0


async def test_a_defect_in_one_verification_frees_all_who_wait() -> None:
    queue = VerificationQueue(Verifying(), StepTimer())
    running = asyncio.create_task(queue.run())
    tags = submitted(queue, "good", "broken", "fine")
    async with asyncio.timeout(HANG):
        results = await asyncio.gather(*tags, return_exceptions=True)
        with pytest.raises(ExceptionGroup) as raised:
            await running
    assert raised.group_contains(ZeroDivisionError, match="broken")
    assert [type(result) for result in results] == [asyncio.CancelledError] * 3


async def test_a_queue_that_is_cancelled_frees_all_who_wait() -> None:
    queue = VerificationQueue(Verifying(), StepTimer())
    running = asyncio.create_task(queue.run())
    tags = submitted(queue, "good", "fine")
    await settle()
    running.cancel()
    async with asyncio.timeout(HANG):
        results = await asyncio.gather(running, *tags, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 3


async def test_a_tag_that_is_submitted_once_the_queue_has_ended_does_not_wait() -> None:
    queue = VerificationQueue(Verifying(), StepTimer())
    running = asyncio.create_task(queue.run())
    submitted(queue, "broken")
    async with asyncio.timeout(HANG):
        with pytest.raises(ExceptionGroup):
            await running
        (late,) = await asyncio.gather(*submitted(queue, "late"), return_exceptions=True)
    assert isinstance(late, asyncio.CancelledError)


async def test_one_who_no_longer_waits_holds_up_nobody() -> None:
    verifier = Verifying()
    queue = VerificationQueue(verifier, StepTimer())
    running = asyncio.create_task(queue.run())
    gone, stays = submitted(queue, "gone", "stays")
    await settle()
    gone.cancel()
    await settle()
    verifier.may_end.set()
    assert (await stays).change.tag == "stays"
    queue.close()
    assert await running == 2


async def test_the_time_counts_from_submission_and_overlapping_waits_count_once() -> None:
    now = 0.0
    timer = StepTimer(lambda: now)
    verifier = Verifying()
    queue = VerificationQueue(verifier, timer)
    tags = submitted(queue, "first")
    await settle()
    now = 1.0  # nothing runs the queue yet
    tags += submitted(queue, "second")
    running = asyncio.create_task(queue.run())
    await settle()
    now = 4.0
    verifier.may_end.set()
    await asyncio.gather(*tags)
    queue.close()
    await running
    assert timer.seconds() == {"verify": 4.0}
