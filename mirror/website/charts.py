"""The uptime strip and the two plots of a mirror."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from mirror.website.health import DayState, day_state
from mirror.website.plots import Series, line_plot
from mirror.website.site_data import SiteData, SiteDay, SiteMirror
from mirror.website.words import Words

STRIP_DAYS = 90
PLOT_DAYS = 90
MINUTE = 60  # seconds
MEGABYTE = 1_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Cell:
    """One day of the strip."""

    place: int  # from 0, the oldest
    day: date
    state: DayState
    figures: SiteDay | None


def strip(mirror: SiteMirror, data: SiteData) -> tuple[Cell, ...]:
    """The last 90 days, oldest first, the day that the history was read last."""
    by_day = {day.day: day for day in mirror.days}
    today = data.read_at.date()
    cells = []
    for place in range(STRIP_DAYS):
        day = today - timedelta(days=STRIP_DAYS - 1 - place)
        cells.append(Cell(place, day, day_state(by_day.get(day), mirror), by_day.get(day)))
    return tuple(cells)


def delay_plot(mirror: SiteMirror, words: Words) -> str:
    """Median, p95 and goal in minutes by day; empty without a day that has a delay."""
    days = _span([day for day in mirror.days if day.report.delay.p50 is not None])
    goal = mirror.status.delay_goal.total_seconds() / MINUTE
    series = [
        Series(words("plot_median"), _values(days, lambda day: day.report.delay.p50, MINUTE)),
        Series(words("plot_p95"), _values(days, lambda day: day.report.delay.p95, MINUTE)),
        Series(words("plot_goal"), tuple(goal for _ in days)),
    ]
    return _plot(f"delay-{mirror.name}", words("plot_delay"), days, series, words)


def speed_plot(mirror: SiteMirror, words: Words) -> str:
    """Pull speed of mirror and source in MB/s by day; empty without a probe."""
    days = _span([day for day in mirror.days if day.speed is not None])
    series = [
        Series(words("plot_mirror"), _values(days, lambda day: day.speed, MEGABYTE)),
        Series(words("plot_source"), _values(days, lambda day: day.source_speed, MEGABYTE)),
    ]
    return _plot(f"speed-{mirror.name}", words("plot_speed"), days, series, words)


_Days = list[tuple[date, SiteDay | None]]


def _span(known: list[SiteDay]) -> _Days:
    if not known:
        return []
    last = known[-1].day
    first = max(known[0].day, last - timedelta(days=PLOT_DAYS - 1))
    by_day = {day.day: day for day in known}
    count = (last - first).days + 1
    return [(day, by_day.get(day)) for day in (first + timedelta(days=n) for n in range(count))]


def _values(
    days: _Days, figure: Callable[[SiteDay], float | None], unit: int
) -> tuple[float | None, ...]:
    figures = (figure(day) if day else None for _, day in days)
    return tuple(None if value is None else round(value / unit, 2) for value in figures)


def _plot(ident: str, title: str, days: _Days, series: list[Series], words: Words) -> str:
    values = [value for value in series[0].values if value is not None]
    if not values:
        return ""
    described = words(
        "plot_from_to",
        first=days[0][0],
        last=days[-1][0],
        n=len(values),
        low=min(values),
        high=max(values),
    )
    return line_plot(ident, title, f"{series[0].name}: {described}", [d for d, _ in days], series)
