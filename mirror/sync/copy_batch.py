"""The copies of several tags as one step: what a step costs is paid once for all of them.

A batch holds nothing back: its tags wait for each other, and for tags of other batches, outside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from traceback import format_exception

from mirror.logs import log_fields
from mirror.outcome import Change, CopyOutcome
from mirror.sync.step import Log, Step, StepBroken
from mirror.telemetry import span

ONE_EACH = 20
"""Tags up to which each has its own step."""
_MOST_BATCHES = 32  # steps that copy, in a run


@dataclass(frozen=True)
class BatchOutcome:
    """How the copies of a batch ended; those of tags that were not tried are not in it."""

    failed: tuple[str, ...]  # a line each
    copied: int
    bytes_copied: int


def batches_of(changes: Sequence[Change], step: Step, log: Log) -> dict[str, CopyBatch]:
    """The batch of each tag: its own where there are few, else one with its neighbours."""
    count = len(changes)
    size = 1 if count <= ONE_EACH else -(-count // _MOST_BATCHES)
    batches: dict[str, CopyBatch] = {}
    for first in range(0, count, size):
        tags = [change.tag for change in changes[first : first + size]]
        batch = CopyBatch(tags, step, log)
        batches.update(dict.fromkeys(tags, batch))
    return batches


class CopyBatch:
    """Runs the copies of its tags within one step, from the first one to the last."""

    def __init__(self, tags: Iterable[str], step: Step, log: Log) -> None:
        self._tags = tuple(tags)
        self._left = set(self._tags)
        self._step = step
        self._log = log
        self._queue: asyncio.Queue[_Submitted | None] = asyncio.Queue()
        self._waiting: set[asyncio.Future[CopyOutcome]] = set()
        self._running: asyncio.Task[BatchOutcome] | None = None
        self._cancelled = False

    @property
    def name(self) -> str:
        """Its tag, or its first and its last one."""
        first, last = self._tags[0], self._tags[-1]
        return first if first == last else f"{first} to {last}"

    async def copy(self, tag: str, work: Callable[[], Awaitable[CopyOutcome]]) -> CopyOutcome:
        """Run the copy of a tag within the step, which begins with the first one.

        Raises StepBroken where the copy ended by a defect, and what the step raises.
        """
        future: asyncio.Future[CopyOutcome] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            self._queue.put_nowait(_Submitted(tag, work, future))
            if self._running is None:
                self._running = asyncio.create_task(self._run_step())
                self._running.add_done_callback(self._stopped)
            elif self._running.done():
                self._stopped(self._running)
            return await future
        except asyncio.CancelledError:
            self._cancelled = True
            raise
        finally:
            self._waiting.discard(future)
            self.finish(tag)

    def finish(self, tag: str) -> None:
        """Report that a tag will not be copied, or has been: the step ends with the last one."""
        self._left.discard(tag)
        if not self._left:
            self._queue.put_nowait(None)

    async def close(self) -> None:
        """Wait for the end of the step, which has no more to do; cancel it where its tags were."""
        if self._running is None:
            return
        if self._cancelled:
            self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run_step(self) -> BatchOutcome:
        return await self._step("copy", self._run, self.name)

    async def _run(self) -> BatchOutcome:
        ended: list[CopyOutcome | str] = []
        async with asyncio.TaskGroup() as group:
            while (submitted := await self._queue.get()) is not None:
                copying = group.create_task(self._copy(submitted, ended))
                submitted.future.add_done_callback(partial(_cancel_with, copying))
        outcomes = [one for one in ended if isinstance(one, CopyOutcome)]
        failures = [one.failure for one in outcomes if one.failure is not None]
        return BatchOutcome(
            failed=(
                *(f"{failure.tag}: {failure.message}" for failure in failures),
                *(one for one in ended if isinstance(one, str)),
            ),
            copied=len(outcomes) - len(failures),
            bytes_copied=sum(one.bytes_copied for one in outcomes),
        )

    async def _copy(self, submitted: _Submitted, ended: list[CopyOutcome | str]) -> None:
        with log_fields(tag=submitted.tag), span("copy tag", {"mirror.tag": submitted.tag}):
            await self._copy_one(submitted, ended)

    async def _copy_one(self, submitted: _Submitted, ended: list[CopyOutcome | str]) -> None:
        tag, future = submitted.tag, submitted.future
        (outcome,) = await asyncio.gather(submitted.work(), return_exceptions=True)
        if isinstance(outcome, BaseException):
            # A defect in one tag: the others continue.
            message = f"{type(outcome).__name__}: {outcome}"
            ended.append(f"{tag}: {message}")
            self._log("".join([f"{tag} broke off\n", *format_exception(outcome)]), failed=True)
            if not future.done():
                future.set_exception(StepBroken(message))
            return
        ended.append(outcome)
        if outcome.failure is not None:
            self._log(f"{tag} failed: {outcome.failure.message}", failed=True)
        else:
            self._log(f"{tag} copied: {outcome.blobs.copied} blobs, {outcome.bytes_copied} bytes")
        if not future.done():
            future.set_result(outcome)

    def _stopped(self, running: asyncio.Task[BatchOutcome]) -> None:
        """Let no tag wait for a step that ended without it."""
        error = None if running.cancelled() else running.exception()
        for future in self._waiting:
            if future.done():
                continue
            if running.cancelled():
                future.cancel()
            else:
                future.set_exception(error or StepBroken("its step ended before it"))


@dataclass(frozen=True)
class _Submitted:
    """A tag whose copy is to run within the step."""

    tag: str
    work: Callable[[], Awaitable[CopyOutcome]]
    future: asyncio.Future[CopyOutcome]


def _cancel_with(copying: asyncio.Task[None], future: asyncio.Future[CopyOutcome]) -> None:
    """End the copy of a tag that nobody waits for any more."""
    if future.cancelled():
        copying.cancel()
