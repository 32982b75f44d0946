"""The cap on a mirror's bytes a second."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from mirror.config import RateLimitSettings
from mirror.sync.copying.bandwidth import BandwidthCap, BandwidthLimiter, bandwidth_limiter_of


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


class Timeline:
    """Time that passes only by waiting: what the limiter takes for the event loop's."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []

    def time(self) -> float:
        """Seconds."""
        return self.now

    def get_running_loop(self) -> Timeline:
        """The loop, whose clock this is."""
        return self

    async def sleep(self, seconds: float) -> None:
        """Note how long a caller waits, while the clock stands still."""
        self.waits.append(round(seconds, 6))


@pytest.fixture
def timeline(monkeypatch: pytest.MonkeyPatch) -> Timeline:
    """The time by which the limiter waits."""
    timeline = Timeline()
    monkeypatch.setattr("mirror.sync.copying.bandwidth.asyncio", timeline)
    return timeline


async def test_callers_share_the_rate(timeline: Timeline) -> None:
    pace = BandwidthLimiter(BandwidthCap(1_000_000))
    for _ in range(3):
        await pace(20_000)
    assert timeline.waits == [0.02, 0.04, 0.06]


async def test_an_idle_line_saves_nothing_up(timeline: Timeline) -> None:
    pace = BandwidthLimiter(BandwidthCap(1_000_000))
    await pace(20_000)
    timeline.now += 60
    for _ in range(2):
        await pace(20_000)
    assert timeline.waits == [0.02, 0.02, 0.04]


async def test_who_comes_before_the_line_is_free_waits_for_the_rest(timeline: Timeline) -> None:
    pace = BandwidthLimiter(BandwidthCap(1_000_000))
    await pace(1_000_000)
    timeline.now += 0.75
    await pace(500_000)
    assert timeline.waits == [1.0, 0.75]


async def test_outside_its_hours_nothing_waits(timeline: Timeline) -> None:
    pace = BandwidthLimiter(BandwidthCap(1, time(8), time(9)), clock=lambda: at(12))
    await pace(10**9)
    assert timeline.waits == []


def test_the_limiter_of_a_mirror_has_its_rate_hours_and_time_zone() -> None:
    limit = RateLimitSettings.model_validate(
        {"rate": "8Mbit/s", "from": "08:00", "to": "09:00", "timezone": "Asia/Shanghai"}
    )
    cap = bandwidth_limiter_of(limit).cap
    assert cap == BandwidthCap(1_000_000, time(8), time(9), ZoneInfo("Asia/Shanghai"))
