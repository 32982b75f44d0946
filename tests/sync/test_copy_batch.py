"""Copies in batches: how many steps there are, what they are called, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from mirror.outcome import BlobTally, CopyOutcome, Reason, TagFailure
from mirror.sync.copy_batch import BatchOutcome, batches_of
from mirror.sync.step import StepBroken, call, no_log
from tests.sync.parts import NOON, change, digest

T = TypeVar("T")


def outcome(tag: str, failure: str | None = None) -> CopyOutcome:
    """How the copy of a tag ended."""
    return CopyOutcome(
        change(tag, digest(1)),
        NOON,
        NOON,
        blobs=BlobTally(copied=2),
        bytes_copied=10,
        failure=TagFailure(tag, Reason.NETWORK, failure) if failure else None,
    )


@dataclass
class Steps:
    """Keeps the steps that ran, and what they returned."""

    names: list[str] = field(default_factory=list)
    results: list[object] = field(default_factory=list)

    async def __call__(self, name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
        """Run the step."""
        self.names.append(f"{name} {subject}")
        result = await work()
        self.results.append(result)
        return result


async def copy_all(tags: list[str], steps: Steps, failing: str = "") -> None:
    """Copy the tags as a run does."""
    batches = batches_of([change(tag, digest(1)) for tag in tags], steps, no_log)

    async def work(tag: str) -> CopyOutcome:
        return outcome(tag, "broken" if tag == failing else None)

    async with asyncio.TaskGroup() as group:
        for tag in tags:
            group.create_task(batches[tag].copy(tag, lambda tag=tag: work(tag)))  # type: ignore[misc]
    for batch in set(batches.values()):
        await batch.close()


async def test_a_few_tags_have_a_step_each() -> None:
    steps = Steps()
    await copy_all([f"1.{number}" for number in range(20)], steps)
    assert steps.names == [f"copy 1.{number}" for number in range(20)]


@pytest.mark.parametrize(("count", "batches"), [(21, 21), (33, 17), (200, 29), (10_000, 32)])
async def test_many_tags_share_a_few_dozen_steps(count: int, batches: int) -> None:
    steps = Steps()
    await copy_all([f"1.{number}" for number in range(count)], steps)
    assert len(steps.names) == batches
    copied = sum(one.copied for one in steps.results if isinstance(one, BatchOutcome))
    assert copied == count


async def test_a_batch_is_named_by_its_first_and_its_last_tag() -> None:
    steps = Steps()
    await copy_all([f"1.{number}" for number in range(64)], steps)
    assert steps.names[:2] == ["copy 1.0 to 1.1", "copy 1.2 to 1.3"]


async def test_the_step_says_which_tags_of_its_batch_failed() -> None:
    steps = Steps()
    await copy_all([f"1.{number}" for number in range(64)], steps, failing="1.1")
    assert BatchOutcome(("1.1: broken",), copied=1, bytes_copied=20) in steps.results


async def test_a_line_is_logged_for_each_tag_as_it_ends() -> None:
    lines: list[str] = []

    def log(line: str, *, failed: bool = False) -> None:
        lines.append(f"{'error: ' if failed else ''}{line}")

    batch = batches_of([change("1.0", digest(1))], call, log)["1.0"]

    async def broken() -> CopyOutcome:
        raise ZeroDivisionError("by zero")

    with pytest.raises(StepBroken, match="ZeroDivisionError: by zero"):
        await batch.copy("1.0", broken)
    assert lines[0].startswith("error: 1.0 broke off\nTraceback")

    async def copied() -> CopyOutcome:
        return outcome("1.0")

    batch = batches_of([change("1.0", digest(1))], call, log)["1.0"]
    await batch.copy("1.0", copied)
    assert lines[1] == "1.0 copied: 2 blobs, 10 bytes"


async def test_a_tag_that_waits_for_one_of_another_batch_does_not_hold_up_its_own() -> None:
    """Two batches that need each other's tags."""
    tags = [f"1.{number}" for number in range(64)]
    batches = batches_of([change(tag, digest(1)) for tag in tags], call, no_log)
    here, there = batches["1.0"], batches["1.2"]
    done: dict[str, asyncio.Event] = {tag: asyncio.Event() for tag in tags[:4]}

    async def sync(tag: str, after: str | None = None) -> None:
        async def work() -> CopyOutcome:
            return outcome(tag)

        if after:
            await done[after].wait()
        await batches[tag].copy(tag, work)
        done[tag].set()

    async with asyncio.timeout(60):
        await asyncio.gather(
            sync("1.0", after="1.3"), sync("1.1"), sync("1.2", after="1.1"), sync("1.3")
        )
        await asyncio.gather(here.close(), there.close())


async def test_a_step_that_breaks_before_its_tags_fails_all_of_them_and_those_that_come_later() -> (
    None
):
    async def step(name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
        raise StepBroken("no server")

    tags = [f"1.{number}" for number in range(64)]
    batch = batches_of([change(tag, digest(1)) for tag in tags], step, no_log)["1.0"]

    async def work() -> CopyOutcome:
        return outcome("1.0")

    for tag in ("1.0", "1.1"):
        async with asyncio.timeout(60):
            with pytest.raises(StepBroken, match="no server"):
                await batch.copy(tag, work)


async def test_a_copy_that_is_cancelled_ends_and_so_does_its_step() -> None:
    ended = asyncio.Event()

    async def work() -> CopyOutcome:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    batch = batches_of([change("1.0", digest(1))], call, no_log)["1.0"]
    copying = asyncio.create_task(batch.copy("1.0", work))
    for _ in range(10):
        await asyncio.sleep(0)
    copying.cancel()
    async with asyncio.timeout(60):
        await asyncio.gather(copying, return_exceptions=True)
        await batch.close()
    assert ended.is_set()


async def test_a_copy_that_nobody_waits_for_any_more_ends_and_the_others_of_its_batch_go_on() -> (
    None
):
    tags = [f"1.{number}" for number in range(64)]
    batches = batches_of([change(tag, digest(1)) for tag in tags], call, no_log)
    ended, go_on = asyncio.Event(), asyncio.Event()

    async def endless() -> CopyOutcome:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async def work() -> CopyOutcome:
        await go_on.wait()
        return outcome("1.1")

    copying = asyncio.create_task(batches["1.0"].copy("1.0", endless))
    other = asyncio.create_task(batches["1.1"].copy("1.1", work))
    for _ in range(10):
        await asyncio.sleep(0)
    copying.cancel()
    async with asyncio.timeout(60):
        await ended.wait()
        go_on.set()
        assert (await other).failure is None
