"""The number of concurrent requests follows the load that the registry sustains."""

from __future__ import annotations

import asyncio

import pytest

from mirror.registry import Clock, Endpoint
from mirror.registry.http.client import HttpSession
from mirror.registry.http.concurrency import ConcurrencyLimiter, Window


class World:
    """A server that gives answers after `best` seconds, and `capacity` of them a second at most.

    Its time is its own: nothing here waits for real.
    """

    def __init__(self, best: float, capacity: float, start: int, most: int) -> None:
        self.now = 0.0
        self.best, self.capacity = best, capacity
        self._free_at = 0.0
        clock = Clock(monotonic=lambda: self.now)
        self.lane = ConcurrencyLimiter(start, most, 2, clock)
        self._under_way: list[tuple[float, asyncio.Event]] = []

    async def run(self, requests: int) -> None:
        """Make so many requests, as many at once as the lane allows."""
        tasks = [asyncio.create_task(self._request()) for _ in range(requests)]
        while not all(task.done() for task in tasks):
            for _ in range(5):
                await asyncio.sleep(0)
            if self._under_way:
                self._under_way.sort(key=lambda pair: pair[0])
                self.now, over = self._under_way.pop(0)
                over.set()
        await asyncio.gather(*tasks)

    async def _request(self) -> None:
        async with self.lane.slot():
            self._free_at = max(self._free_at, self.now) + 1 / self.capacity
            over = asyncio.Event()
            self._under_way.append((max(self.now + self.best, self._free_at), over))
            await over.wait()


async def test_it_grows_where_the_registry_has_more_to_give() -> None:
    world = World(best=0.1, capacity=10_000, start=8, most=64)
    await world.run(4000)
    assert world.lane.width > 40


async def test_it_does_not_grow_where_more_at_once_brings_nothing() -> None:
    world = World(best=0.01, capacity=100, start=8, most=64)
    await world.run(1500)
    assert world.lane.width <= 10


async def test_a_registry_far_away_gets_more_at_once_for_the_same_number_a_second() -> None:
    near = World(best=0.06, capacity=10_000, start=8, most=64)
    far = World(best=0.3, capacity=10_000, start=8, most=64)
    for world in (near, far):
        await world.run(12)
    assert near.lane.width == 8
    assert far.lane.width == 40


async def test_distance_grows_it_no_further_than_its_most() -> None:
    world = World(best=3.0, capacity=10_000, start=8, most=64)
    await world.run(12)
    assert world.lane.width == 64


@pytest.mark.parametrize(("most", "start"), [(1, 1), (10, 10), (100, 64), (1000, 64)])
async def test_the_operator_s_limit_holds_from_the_start(most: int, start: int) -> None:
    endpoint = Endpoint("registry.example.com", most_requests=most)
    async with HttpSession(endpoint) as session:
        assert session.calls.width == start


async def test_a_registry_that_is_slow_and_not_far_away_is_soon_asked_less() -> None:
    world = World(best=0.3, capacity=20, start=8, most=256)
    await world.run(300)
    assert world.lane.width < 20


async def test_a_registry_that_reported_overload_gets_no_more_for_its_distance() -> None:
    world = World(best=0.3, capacity=10_000, start=9, most=64)
    world.lane.shrink()
    await world.run(12)
    assert world.lane.width == 6


async def test_it_gives_way_when_answers_take_longer_and_no_more_come() -> None:
    world = World(best=0.05, capacity=1000, start=40, most=40)
    await world.run(1000)
    assert world.lane.width == 40
    world.capacity = 50
    await world.run(1000)
    assert world.lane.width < 30


async def test_an_overloaded_registry_is_given_room_but_once_a_second() -> None:
    world = World(best=0.1, capacity=1000, start=30, most=60)
    world.now = 10
    for _ in range(5):
        world.lane.shrink()
    assert world.lane.width == 20
    world.now = 12
    world.lane.shrink()
    assert world.lane.width == 13
    for _ in range(20):
        world.now += 2
        world.lane.shrink()
    assert world.lane.width == 2, "never so narrow that nothing goes"


async def test_turns_come_in_order_and_are_given_back_whatever_happens() -> None:
    lane = ConcurrencyLimiter(1, 1, 1, Clock())
    order: list[int] = []

    async def take(number: int) -> None:
        async with lane.slot():
            order.append(number)
            await asyncio.sleep(0)
            if number == 1:
                raise ValueError

    tasks = [asyncio.create_task(take(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert lane.crowded
    assert not lane.try_enter()
    tasks[2].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 1, 3, 4]
    assert [type(result).__name__ for result in results] == [
        "NoneType",
        "ValueError",
        "CancelledError",
        "NoneType",
        "NoneType",
    ]
    assert lane.free == 1


async def test_a_pause_holds_everybody_back() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    lane = ConcurrencyLimiter(4, 4, 1, Clock(sleep=sleep, monotonic=lambda: 5.0))
    lane.pause(7)
    assert not lane.try_enter()
    async with lane.slot():
        assert slept == [pytest.approx(7)]


def test_a_window_bounds_what_is_held_but_never_blocks_the_first() -> None:
    window = Window(10)
    assert window.take(8, must=False)
    assert not window.take(8, must=False)
    assert window.take(8, must=True)
    window.give_back(16)
    assert window.take(10, must=False)
