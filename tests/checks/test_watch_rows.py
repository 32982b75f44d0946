"""What the live watch writes of its looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mirror.checks import Look, WatchResult, WatchRows
from mirror.outcome import Reason, TagFailure
from tests.checks.memory_recorder import MemoryRecorder

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
SOURCE = "docker.io/team/app"


def look(seconds: float, *, moved: tuple[str, ...] = (), error: TagFailure | None = None) -> Look:
    """A look so many seconds after noon."""
    at = NOON + timedelta(seconds=seconds)
    return Look(SOURCE, at, at, False, WatchResult(SOURCE, ("m",), moved, 1, error))


async def test_looks_that_find_nothing_are_one_row_an_hour_that_counts_their_requests() -> None:
    recorder = MemoryRecorder()
    rows = WatchRows(recorder)
    for turn in range(480):  # two hours
        await rows.add(look(15.0 * turn))
    first, second = recorder.watches
    assert first.started_at == NOON
    assert second.started_at == NOON + timedelta(hours=1)
    assert timedelta(minutes=58) <= first.ended_at - first.started_at < timedelta(hours=1)
    assert 235 <= first.requests <= 240


async def test_every_look_that_found_something_or_failed_is_a_row() -> None:
    recorder = MemoryRecorder()
    rows = WatchRows(recorder)
    await rows.add(look(0))
    await rows.add(look(15, moved=("m",)))
    await rows.add(look(30, error=TagFailure(None, Reason.NETWORK, "away")))
    await rows.add(look(45))
    assert [(row.moved, len(row.failed)) for row in recorder.watches] == [
        ((), 0),
        (("m",), 0),
        ((), 1),
    ]


async def test_a_look_that_ended_by_a_defect_is_not_written() -> None:
    recorder = MemoryRecorder()
    await WatchRows(recorder).add(Look(SOURCE, NOON, NOON, False, None, ZeroDivisionError()))
    assert recorder.watches == []
