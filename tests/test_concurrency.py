"""Shared work: done once, its end shared, and never a wait that cannot end."""

from __future__ import annotations

import asyncio
import gc

import pytest

from mirror import concurrency
from mirror.concurrency import (
    CircularWork,
    SingleFlight,
    WeightedSemaphore,
    gather_all,
    gather_both,
)

HANG = 30  # seconds until a test that waits in a circle is stopped


async def settle() -> None:
    """Let every task that can run do so until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


class Work:
    """Work that ends when the test says so; how often it was started."""

    def __init__(self) -> None:
        self.started = 0
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.started += 1
        return await asyncio.shield(self.end)


async def test_of_many_callers_one_does_the_work_and_all_get_its_value() -> None:
    flight: SingleFlight[str, str] = SingleFlight()
    work = Work()
    callers = [asyncio.create_task(flight.do("key", work)) for _ in range(3)]
    await settle()
    work.end.set_result("value")
    assert await asyncio.gather(*callers) == [("value", True), ("value", False), ("value", False)]
    assert await flight.do("key", work) == ("value", False), "it is kept"
    assert work.started == 1


async def test_keys_do_not_wait_for_each_other() -> None:
    flight: SingleFlight[str, str] = SingleFlight()
    slow, quick = Work(), Work()
    waiting = asyncio.create_task(flight.do("slow", slow))
    await settle()
    quick.end.set_result("quick")
    assert await flight.do("quick", quick) == ("quick", True)
    slow.end.set_result("slow")
    assert await waiting == ("slow", True)


async def test_a_failure_reaches_all_who_waited_and_is_then_forgotten() -> None:
    flight: SingleFlight[str, str] = SingleFlight()
    work = Work()
    callers = [asyncio.create_task(flight.do("key", work)) for _ in range(3)]
    await settle()
    error = OSError("broken")
    work.end.set_exception(error)
    assert await asyncio.gather(*callers, return_exceptions=True) == [error] * 3
    again = Work()
    again.end.set_result("value")
    assert await flight.do("key", again) == ("value", True)


async def test_a_failure_that_no_other_caller_waits_for_is_not_reported_as_unretrieved() -> None:
    heard: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: heard.append(context))
    try:
        work = Work()
        work.end.set_exception(OSError("broken"))
        flight: SingleFlight[str, str] = SingleFlight()
        with pytest.raises(OSError, match="broken"):
            await flight.do("key", work)
        del flight
        gc.collect()
        await settle()
    finally:
        loop.set_exception_handler(None)
    assert heard == []


async def test_if_the_caller_that_works_is_cancelled_one_that_waits_takes_over() -> None:
    flight: SingleFlight[str, str] = SingleFlight()
    work = Work()
    first, second, third = (asyncio.create_task(flight.do("key", work)) for _ in range(3))
    await settle()
    first.cancel()
    await settle()
    assert work.started == 2
    work.end.set_result("value")
    assert [*await asyncio.gather(second, third)] == [("value", True), ("value", False)]
    assert first.cancelled()


async def test_if_a_caller_that_waits_is_cancelled_the_work_goes_on_for_the_others() -> None:
    flight: SingleFlight[str, str] = SingleFlight()
    work = Work()
    first, second, third = (asyncio.create_task(flight.do("key", work)) for _ in range(3))
    await settle()
    second.cancel()
    await settle()
    work.end.set_result("value")
    assert [*await asyncio.gather(first, third)] == [("value", True), ("value", False)]
    assert second.cancelled()
    assert work.started == 1


async def test_work_that_waits_for_itself_is_circular() -> None:
    flight: SingleFlight[str, str] = SingleFlight()

    async def itself() -> str:
        value, _ = await flight.do("key", itself)
        return value

    async with asyncio.timeout(HANG):
        with pytest.raises(CircularWork):
            await flight.do("key", itself)


async def test_work_that_waits_for_itself_in_another_task_is_circular() -> None:
    flight: SingleFlight[str, str] = SingleFlight()

    async def itself() -> str:
        ((value, _),) = await asyncio.gather(flight.do("key", itself))
        return value

    async with asyncio.timeout(HANG):
        with pytest.raises(CircularWork):
            await flight.do("key", itself)


@pytest.mark.parametrize("length", [2, 3, 10])
async def test_a_circle_through_others_is_seen_before_it_closes(length: int) -> None:
    """Each key needs the next one, the last needs the first; every second one is of another
    flight."""
    flights: tuple[SingleFlight[int, str], ...] = (SingleFlight(), SingleFlight())
    every_one_runs = asyncio.Barrier(length)

    async def work(key: int) -> str:
        await every_one_runs.wait()
        following = (key + 1) % length
        value, _ = await flights[following % 2].do(following, lambda: work(following))
        return value

    async with asyncio.timeout(HANG):
        results = await asyncio.gather(
            *(flights[key % 2].do(key, lambda key=key: work(key)) for key in range(length)),  # type: ignore[misc]
            return_exceptions=True,
        )
    assert [type(result) for result in results] == [CircularWork] * length
    assert not concurrency._waits, "nothing is kept of it"


async def test_two_that_need_the_same_are_no_circle() -> None:
    flight: SingleFlight[str, str] = SingleFlight()
    shared = Work()

    async def needs_it() -> str:
        value, _ = await flight.do("shared", shared)
        return value

    callers = [asyncio.create_task(flight.do(key, needs_it)) for key in ("left", "right")]
    await settle()
    shared.end.set_result("value")
    assert await asyncio.gather(*callers) == [("value", True), ("value", True)]
    assert shared.started == 1
    assert not concurrency._waits


async def test_what_has_ended_is_no_part_of_a_circle() -> None:
    flight: SingleFlight[str, str] = SingleFlight()
    work = Work()
    work.end.set_result("value")
    await flight.do("earlier", work)

    async def needs_it_twice() -> str:
        await flight.do("earlier", work)
        value, _ = await flight.do("earlier", work)
        return value

    assert await flight.do("later", needs_it_twice) == ("value", True)


async def test_what_is_forgotten_is_done_again_unless_it_still_runs() -> None:
    flight: SingleFlight[str, str] = SingleFlight()
    work = Work()
    first = asyncio.create_task(flight.do("key", work))
    await settle()
    flight.forget("key")
    flight.clear()
    second = asyncio.create_task(flight.do("key", work))
    await settle()
    assert work.started == 1, "a second one would do the work twice at once"
    work.end.set_result("value")
    await asyncio.gather(first, second)
    flight.forget("key")
    flight.forget("unknown")
    assert await flight.do("key", work) == ("value", True)
    assert await flight.do("other", work) == ("value", True)
    flight.clear()
    assert await flight.do("key", work) == ("value", True)
    assert await flight.do("other", work) == ("value", True)


class Steps:
    """Awaitables that end in a given order; which of them have ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def one(self, name: str, turns: int, error: Exception | None = None) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        self.ended.append(name)
        if error is not None:
            raise error
        return name


async def test_all_values_come_in_order() -> None:
    steps = Steps()
    assert await gather_all([steps.one("slow", 9), steps.one("quick", 1)]) == ["slow", "quick"]
    assert steps.ended == ["quick", "slow"]
    assert await gather_all([]) == []


async def test_a_failure_is_raised_only_once_the_others_have_ended() -> None:
    steps = Steps()
    with pytest.raises(ValueError, match="first"):
        await gather_all(
            [
                steps.one("a", 5, ValueError("first")),
                steps.one("b", 1, OSError("sooner, but later in order")),
                steps.one("c", 15),
            ]
        )
    assert steps.ended == ["b", "a", "c"]


async def test_of_both_the_first_one_s_value_comes_once_both_have_ended() -> None:
    steps = Steps()
    assert await gather_both(steps.one("first", 1), steps.one("second", 9)) == "first"
    assert steps.ended == ["first", "second"]


async def test_of_both_the_first_one_s_error_goes_before_that_of_the_second() -> None:
    steps = Steps()
    with pytest.raises(ValueError, match="first"):
        await gather_both(
            steps.one("first", 9, ValueError("first")), steps.one("second", 1, OSError("second"))
        )
    with pytest.raises(OSError, match="second"):
        await gather_both(steps.one("first", 1), steps.one("second", 9, OSError("second")))
    assert steps.ended == ["second", "first", "first", "second"]


async def test_a_weighted_semaphore_gives_room_by_weight_and_in_order() -> None:
    room, held = WeightedSemaphore(10), []
    ends = {name: asyncio.Event() for name in ("a", "huge", "c")}

    async def take(name: str, weight: int) -> None:
        async with room.hold(weight):
            held.append(name)
            await ends[name].wait()
        held.remove(name)

    tasks = [asyncio.create_task(take(*pair)) for pair in (("a", 4), ("huge", 99), ("c", 1))]
    await settle()
    assert held == ["a"], "the one behind the huge one waits, though there is room for it"
    ends["a"].set()
    await settle()
    assert held == ["huge"], "one that weighs more than all the room takes all of it"
    ends["huge"].set()
    ends["c"].set()
    await asyncio.gather(*tasks)
    assert held == []


async def test_one_that_gives_up_its_place_makes_room_for_those_behind_it() -> None:
    room = WeightedSemaphore(2)
    async with room.hold(1):
        waiting = asyncio.create_task(_hold(room, 2))
        behind = asyncio.create_task(_hold(room, 1))
        await settle()
        assert not behind.done()
        waiting.cancel()
        await settle()
        assert behind.done()
    async with asyncio.timeout(HANG), room.hold(2):
        pass


async def _hold(room: WeightedSemaphore, weight: int) -> None:
    async with room.hold(weight):
        pass


async def test_work_is_begun_in_order_and_only_so_much_is_in_flight() -> None:
    begun: list[int] = []
    busy = most = 0

    async def piece(number: int) -> int:
        nonlocal busy, most
        begun.append(number)
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        return number

    assert await gather_all(piece(number) for number in range(2_000)) == list(range(2_000))
    assert begun == sorted(begun)
    assert most <= concurrency.AT_ONCE + 1


async def test_work_in_work_never_waits_for_a_place() -> None:
    async def tree(depth: int) -> int:
        if not depth:
            await asyncio.sleep(0)
            return 1
        return sum(await gather_all(tree(depth - 1) for _ in range(8)))

    async with asyncio.timeout(HANG):
        assert await tree(4) == 8**4


async def test_a_failure_is_raised_when_the_rest_has_ended_or_nothing_more_is_begun() -> None:
    ended: list[int] = []

    async def piece(number: int) -> int:
        await asyncio.sleep(0)
        if number in (3, 5):
            raise ValueError(str(number))
        ended.append(number)
        return number

    with pytest.raises(ValueError, match="3"):
        await gather_all(piece(number) for number in range(1_000))
    assert len(ended) == 998
    ended.clear()
    with pytest.raises(ValueError, match="3"):
        await gather_all((piece(number) for number in range(1_000)), go_on=False)
    assert len(ended) < 1_000 - 2


async def test_work_that_is_cancelled_ends_with_all_that_it_began() -> None:
    stopped = 0

    async def piece() -> None:
        nonlocal stopped
        try:
            await asyncio.Event().wait()
        finally:
            stopped += 1

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await gather_all([piece() for _ in range(1_000)])
    assert 1 < stopped <= concurrency.AT_ONCE + 1
    assert await gather_all(asyncio.sleep(0, at) for at in range(3)) == [0, 1, 2]
