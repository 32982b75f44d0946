"""SIGTERM ends a flow run's work before Prefect hears of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from flows.orchestration.ending import ending_in_order
from mirror import stopping


class Heard(BaseException):
    """What the handler raises that was there before, as Prefect's does."""


@pytest.fixture(autouse=True)
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A handler of SIGTERM, and a process that was not told to stop yet."""
    monkeypatch.setattr(stopping, "_RECEIVED", [])

    def heard(*_: object) -> None:
        raise Heard

    before = signal.signal(signal.SIGTERM, heard)
    yield
    assert signal.signal(signal.SIGTERM, before) is heard, "it was put back"


def _terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_work_cleans_up_undisturbed_before_the_signal_goes_on() -> None:
    done = []

    async def work() -> None:
        _terminate()
        try:
            await asyncio.Event().wait()
        finally:
            _terminate()  # as a worker and its supervisor both send it
            await asyncio.sleep(0.01)
            done.append(stopping.stopped_by())

    async with asyncio.timeout(30):
        with pytest.raises(Heard):
            await ending_in_order(work())
    assert done == ["SIGTERM"]


async def test_work_that_fails_while_it_is_ended_does_not_hide_the_signal() -> None:
    async def work() -> None:
        _terminate()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise RuntimeError("the copy was interrupted") from None

    async with asyncio.timeout(30):
        with pytest.raises(Heard):
            await ending_in_order(work())


async def test_work_that_ends_well_all_the_same_has_its_result() -> None:
    async def work() -> int:
        _terminate()
        return 7

    assert await ending_in_order(work()) == 7


async def test_work_that_is_cancelled_by_its_caller_is_cancelled() -> None:
    async def work() -> None:
        await asyncio.Event().wait()

    running = asyncio.create_task(ending_in_order(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stopping.stopped_by() is None


async def test_in_another_thread_it_changes_nothing() -> None:
    async def work() -> int:
        return 7

    def in_thread() -> int:
        return asyncio.run(ending_in_order(work()))

    assert await asyncio.to_thread(in_thread) == 7
