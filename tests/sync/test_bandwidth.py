"""The cap on a mirror's bytes a second."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from mirror.sync.bandwidth import BandwidthCap, BandwidthLimiter


def at(hour: int) -> datetime:
    return datetime(2026, 5, 1, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("begin", "end", "held"),
    [(0, 0, [0, 9, 23]), (8, 18, [8, 17]), (22, 6, [22, 23, 0, 5])],
)
def test_a_cap_holds_at_its_hours_also_over_midnight(begin: int, end: int, held: list[int]) -> None:
    cap = BandwidthCap(1000, time(begin), time(end))
    hours = [hour for hour in range(24) if cap.holds(at(hour))]
    assert set(held) <= set(hours)
    assert len(hours) == ((end - begin) % 24 or 24)


def test_the_hours_are_those_of_the_time_zone() -> None:
    cap = BandwidthCap(1000, time(8), time(9), ZoneInfo("Asia/Shanghai"))
    assert cap.holds(at(0))
    assert not cap.holds(at(8))


async def test_callers_share_the_rate_and_nothing_is_saved_up() -> None:
    pace = BandwidthLimiter(BandwidthCap(1_000_000))
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.05)  # an idle line saves nothing up
    started = loop.time()
    await asyncio.gather(*(pace(20_000) for _ in range(10)))
    assert loop.time() - started >= 0.2


async def test_outside_its_hours_nothing_waits() -> None:
    pace = BandwidthLimiter(BandwidthCap(1, time(8), time(9)), clock=lambda: at(12))
    await asyncio.wait_for(pace(10**9), 1)
