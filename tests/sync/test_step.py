"""How long steps take, how far they are, and how they are run."""

from __future__ import annotations

import pytest

from mirror.sync.step import StepTimer, SyncProgress, call


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_the_plain_step_is_a_call() -> None:
    async def work() -> str:
        return "result"

    assert await call("copy", work, "1.0") == "result"


def test_blocks_of_a_step_add_up() -> None:
    clock = Clock()
    timer = StepTimer(clock)
    for _ in range(2):
        with timer.measure("copy"):
            clock.now += 1.5
        clock.now += 60
    assert timer.seconds() == {"copy": 3.0}


def test_blocks_of_one_step_that_overlap_count_once_and_those_of_others_by_themselves() -> None:
    clock = Clock()
    timer = StepTimer(clock)
    with timer.measure("copy"):
        clock.now += 1
        with timer.measure("copy"), timer.measure("verify"):
            clock.now += 2
        clock.now += 4
    assert timer.seconds() == {"verify": 2.0, "copy": 7.0}


def test_a_step_that_is_still_running_counts_when_it_ends() -> None:
    clock = Clock()
    timer = StepTimer(clock)
    with timer.measure("copy"):
        clock.now += 1
        assert timer.seconds() == {}


def test_the_time_of_a_block_that_fails_counts() -> None:
    clock = Clock()
    timer = StepTimer(clock)
    with pytest.raises(OSError, match="broken"), timer.measure("copy"):
        clock.now += 1
        raise OSError("broken")
    with timer.measure("copy"):
        clock.now += 2
    assert timer.seconds() == {"copy": 3.0}


@pytest.mark.parametrize("since", [0.0, 98.0])
def test_a_step_may_have_begun_before_its_block(since: float) -> None:
    clock = Clock()
    timer = StepTimer(clock)
    with timer.measure("discover", since=since):
        clock.now += 1
    assert timer.seconds() == {"discover": 101.0 - since}


def test_seconds_are_given_to_a_tenth_of_a_millisecond() -> None:
    clock = Clock()
    timer = StepTimer(clock)
    with timer.measure("diff"):
        clock.now += 0.12345678
    assert timer.seconds() == {"diff": 0.1235}


def test_progress_is_by_bytes_and_by_tags_where_there_are_none() -> None:
    progress = SyncProgress()
    assert progress.share == 1.0, "nothing to do is done"
    progress.add_tags(4)
    progress.tags_done = 1
    assert progress.share == 0.25
    progress.expect(100)
    progress.expect(300)
    progress.advance(100)
    assert progress.share == 0.25
    progress.advance(200)
    assert progress.share == 0.75
    progress.advance(200)  # a blob that was sent twice
    assert progress.share == 1.0


def test_progress_has_started_once_there_are_tags_to_copy() -> None:
    progress = SyncProgress()
    progress.add_tags(0)
    assert not progress.started.is_set()
    progress.add_tags(1)
    assert progress.started.is_set()
