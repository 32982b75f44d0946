"""A run that is stopped says so in the history: by what, what was done, what is left."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from flows.local.sample_registry.images import single
from mirror import stopping
from mirror.errors import DatabaseError
from mirror.outcome import Reason, RunOutcome, RunStatus
from mirror.sync.run import run
from tests.support.memory_recorder import MemoryRecorder
from tests.sync.core import SOURCE, seed
from tests.sync.test_run import Mirror, mirror

T = TypeVar("T")


class Hanging:
    """The copy of 1.1 never ends; it is reached once 1.0 has arrived."""

    def __init__(self) -> None:
        self.reached, self.arrived = asyncio.Event(), asyncio.Event()

    async def __call__(self, name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
        if (name, subject) == ("copy", "1.1"):
            await self.arrived.wait()
            self.reached.set()
            await asyncio.Event().wait()
        return await work()


class Noting(MemoryRecorder):
    """Tells when the first tag has arrived."""

    hanging: Hanging

    async def tag_ended(self, *values: object, **more: object) -> None:
        await super().tag_ended(*values, **more)  # type: ignore[arg-type]
        self.hanging.arrived.set()


async def _stopped(both: Mirror, recorder: Noting) -> None:
    both.core.recorder = recorder
    seed(both.source.store, SOURCE, "1.1", single("other"))
    recorder.hanging = step = Hanging()
    async with both.core.open(full=True, dry_run=False) as context:
        running = asyncio.create_task(run(context, step))
        async with asyncio.timeout(30):
            await step.reached.wait()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, None])
async def test_a_run_that_is_stopped_is_recorded_with_what_is_done_and_left(
    number: signal.Signals | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_RECEIVED", [])
    if number is not None:
        stopping.note_stop(number)
        stopping.note_stop(signal.SIGTERM)  # an impatient user
    async with mirror() as both:
        await _stopped(both, Noting())
        last = both.last
    assert last.status is RunStatus.ABANDONED
    (error,) = last.errors
    by = number.name if number else "a cancellation"
    assert (error.tag, error.reason) == (None, Reason.ABANDONED)
    assert error.message == (
        f"stopped by {by}: 1 of 2 changed tags were copied, the next run copies the other 1"
    )
    assert (last.tags.changed, last.tags.copied) == (2, 1)


class Away(Noting):
    """A history that goes away before the run is stopped."""

    async def end_run(self, outcome: RunOutcome) -> None:
        raise DatabaseError("the history is away")


async def test_a_run_that_is_stopped_without_its_history_is_stopped_all_the_same() -> None:
    async with mirror() as both:
        await _stopped(both, Away())
        assert both.core.recorder.running, "a later run closes it"
