"""A report in the terminal: goals, a sparkline of the days, failures, last runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from flows.cli.tables import STATUS_COLOURS, Table, make_table, print_text
from mirror.history import (
    SUCCESS_GOAL,
    DayStats,
    DelayStats,
    FailureStats,
    Goal,
    MirrorReport,
    QuotaStats,
    Report,
    RunSummary,
)
from mirror.units import format_count, format_decimal, format_moment

_BLOCKS = "▁▂▃▄▅▆▇█"
_SHOWN_DAYS = 60
_SHOWN_RUNS = 6
_SHOWN_FAILURES = 8
_GOALS = {
    "runs": ("runs that succeed", "run", "runs"),
    "tags": ("tags that arrive", "tag", "tags"),
    "delay_p95": ("delay, 95 of 100 tags", "tag", "tags"),
    "pull_speed": ("pull speed against source", "pair of pulls", "pairs of pulls"),
    "pull_failures": ("pulls that fail", "pull", "pulls"),
    "adoption": ("share of pulls", "pull", "pulls"),
}


def show_report(report: Report, console: Console) -> None:
    """Print a report."""
    since = f"since {format_moment(report.since)}" if report.since else "since the beginning"
    print_text(console, f"{since}, until {format_moment(report.until)}", "dim")
    if not report.mirrors:
        print_text(console, "the history has no mirror yet: sync one with `mirror sync NAME`")
    for mirror in report.mirrors:
        _show_mirror(console, mirror, report.until)
    for quota in report.quotas:
        _show_quota(console, quota)


def show_table(report: Report, console: Console) -> None:
    """Print a report on many mirrors, a row each; those that miss a goal first."""
    since = f"since {format_moment(report.since)}" if report.since else "since the beginning"
    print_text(console, f"{since}, until {format_moment(report.until)}", "dim")
    console.print()
    goals = ("runs", "tags", "delay_p95", "pull_speed?2", "pull_failures?1", "adoption?3")
    table = make_table(
        "mirror", ">in sync", ">behind", *(f">{name.replace('_', ' ')}" for name in goals)
    )
    for mirror in sorted(report.mirrors, key=lambda one: not _misses(one)):
        status = mirror.status
        table.add_row(
            Text(mirror.mirror, "red" if _misses(mirror) else ""),
            f"{status.in_sync:,}/{status.tags:,}",
            f"{status.behind:,}",
            *(
                Text(
                    _amount(goal, goal.value) if goal.samples else "-",
                    {True: "green", False: "red", None: "dim"}[goal.met],
                )
                for goal in mirror.goals
            ),
        )
    table.print(console)
    missed = sum(map(_misses, report.mirrors))
    console.print()
    print_text(
        console,
        f"{format_count(len(report.mirrors), 'mirror')}, {missed:,} with a missed goal;"
        " --mirror NAME shows one with its days, failures and runs",
    )
    for quota in report.quotas:
        _show_quota(console, quota)


def _misses(mirror: MirrorReport) -> bool:
    return any(goal.met is False for goal in mirror.goals)


def _show_mirror(console: Console, mirror: MirrorReport, now: datetime) -> None:
    status = mirror.status
    console.print()
    ways = (f" {status.source} → {status.target}", "dim")
    print_text(console, Text.assemble((mirror.mirror, "bold"), ways), hang=4)
    print_text(console, _now(mirror), indent=2, hang=2)
    tables = [_goals(mirror)]
    if mirror.days:
        tables.append(_lines(mirror))
    if mirror.failures:
        tables.append(_failures(mirror.failures, now))
    if mirror.recent_runs:
        tables.append(_runs(mirror.recent_runs, now))
    for table in tables:
        console.print()
        table.print(console, indent=2)


def _now(mirror: MirrorReport) -> Text:
    status = mirror.status
    line = Text(f"now {status.in_sync:,} of {status.tags:,} tags in sync")
    if status.behind:
        line.append(f", {status.behind:,} behind", "yellow")
        if status.oldest_lag is not None:
            late = status.oldest_lag > status.delay_goal
            line.append(
                f" (the oldest {format_decimal(status.oldest_lag)})", "red" if late else "yellow"
            )
    if status.failing:
        line.append(f", {status.failing:,} failing", "red")
    if status.held:
        line.append(f", {status.held:,} held", "yellow")
    if status.gone:
        line.append(f", {status.gone:,} gone at the source", "dim")
    traffic = mirror.traffic
    line.append(
        f" · {decimal(traffic.bytes_copied)} copied, {traffic.requests_source:,} requests to the"
        f" source, {traffic.requests_target:,} to the target",
        "dim",
    )
    return line


def _goals(mirror: MirrorReport) -> Table:
    table = make_table("goal", ">value", ">wanted", ">samples?2", "~details?1")
    for goal in mirror.goals:
        title, *noun = _GOALS[goal.name]
        mark, colour = {True: ("✔", "green"), False: ("✘", "red"), None: ("?", "dim")}[goal.met]
        sign = "≥" if goal.at_least else "≤"
        table.add_row(
            Text(f"{mark} {title}", colour),
            Text(_amount(goal, goal.value), colour),
            f"{sign} {_amount(goal, goal.wanted)}",
            format_count(goal.samples, *noun),
            Text(_detail(mirror, goal), "dim"),
        )
    return table


def _detail(mirror: MirrorReport, goal: Goal) -> str:
    """Details of a goal's value."""
    if goal.met is None:
        return ""
    runs, tags, delay, pulls = mirror.runs, mirror.tags, mirror.delay, mirror.pulls
    match goal.name:
        case "runs":
            return _listed(partial=runs.partial, failed=runs.failed, abandoned=runs.abandoned)
        case "tags":
            return _listed(failed=tags.failed, abandoned=tags.abandoned, retried=tags.retried)
        case "delay_p95":
            return _delay(delay)
        case "pull_speed":
            mine, source = pulls.bytes_per_second or 0, pulls.source_bytes_per_second or 0
            return f"{decimal(int(mine))}/s against {decimal(int(source))}/s"
        case "pull_failures" if pulls.source_failure_rate is not None:
            return f"from the source {pulls.source_failure_rate:.1%}"
        case "adoption":
            return f"over {mirror.adoption.days} days"
    return ""


def _delay(delay: DelayStats) -> str:
    about = "" if delay.exact else "about "
    parts = [f"median {about}{_duration(delay.p50)}", f"longest {_duration(delay.max)}"]
    if delay.in_goal_share is not None:
        parts.append(f"{delay.in_goal_share:.1%} within the goal")
    if delay.from_detected:
        parts.append(f"{delay.from_detected:,} from detection")
    if delay.from_followed:
        parts.append(f"{delay.from_followed:,} older than the mirror")
    return ", ".join(parts)


def _listed(**counts: int) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def _lines(mirror: MirrorReport) -> Table:
    """A block per day, its height and colour by value; a dot for a day without data."""
    days = _every_day(mirror.days)[-_SHOWN_DAYS:]
    goal = mirror.status.delay_goal.total_seconds()
    most_bytes = max((day.traffic.bytes_copied for day in days), default=0)
    longest = max((day.delay.p95 or 0 for day in days), default=0)
    table = make_table("of each day", f"{days[0].day:%d %b} to {days[-1].day:%d %b}", "height")

    def rate(value: float | None) -> tuple[float | None, str]:
        return value, "green" if value is not None and value >= SUCCESS_GOAL else "red"

    def lag(day: DayStats) -> tuple[float | None, str]:
        p95 = day.delay.p95
        if p95 is None:
            return None, "dim"
        return p95 / longest if longest else 0, "green" if p95 <= goal else "red"

    def copied(day: DayStats) -> tuple[float | None, str]:
        return (day.traffic.bytes_copied / most_bytes if most_bytes else None), "blue"

    table.add_row("runs", _spark(days, lambda day: rate(day.runs.success_rate)), "success rate")
    table.add_row("tags", _spark(days, lambda day: rate(day.tags.success_rate)), "success rate")
    table.add_row("delay", _spark(days, lag), f"p95, up to {format_decimal(longest)}")
    table.add_row("bytes", _spark(days, copied), f"up to {decimal(most_bytes)} a day")
    return table


def _every_day(days: Sequence[DayStats]) -> list[DayStats]:
    """The days, and those without data between them."""
    there = {day.day: day for day in days}
    first, last = days[0].day, days[-1].day
    all_days = (first + timedelta(days=step) for step in range((last - first).days + 1))
    return [there.get(day, DayStats(day)) for day in all_days]


def _spark(
    days: Sequence[DayStats], height: Callable[[DayStats], tuple[float | None, str]]
) -> Text:
    line = Text()
    for day in days:
        share, colour = height(day)
        if share is None:
            line.append("·", "dim")
        else:
            line.append(_BLOCKS[min(int(share * 8), 7)], colour)
    return line


def _failures(failures: Sequence[FailureStats], now: datetime) -> Table:
    table = make_table(">failures", "share?4", "reason", "tag?2", ">last?3", "~message?1")
    most = failures[0].count
    for failure in failures[:_SHOWN_FAILURES]:
        table.add_row(
            f"{failure.count:,}",
            Text("█" * max(1, round(8 * failure.count / most)), "red"),
            failure.reason,
            failure.tag or Text("whole run", "dim"),
            _ago(failure.last_at, now),
            Text(failure.last_message or "", "dim"),
        )
    return table


def _runs(runs: Sequence[RunSummary], now: datetime) -> Table:
    table = make_table(
        *("last runs", "status", ">changed?5", ">copied?2", ">failed?3", ">bytes?4", ">seconds?6"),
        *("by?7", "~message?1"),
    )
    for run in runs[:_SHOWN_RUNS]:
        table.add_row(
            _ago(run.started_at, now),
            Text(run.status + (" (dry)" if run.dry_run else ""), STATUS_COLOURS[run.status]),
            f"{run.tags_changed:,}",
            f"{run.tags_copied:,}",
            f"{run.tags_failed:,}",
            decimal(run.bytes_copied),
            f"{run.seconds_total:.1f}",
            run.trigger,
            Text(run.message or "", "dim"),
        )
    return table


def _show_quota(console: Console, quota: QuotaStats) -> None:
    share = quota.least_remaining / quota.quota if quota.quota else 0
    console.print()
    print_text(
        console,
        f"{quota.registry} ({quota.account or 'anonymous'}): at least {quota.least_remaining:,} of"
        f" {format_count(quota.quota, 'pull')} were left in"
        f" {format_count(quota.readings, 'reading')}",
        "red" if share < 0.1 else "",
        hang=2,
    )


def _amount(goal: Goal, value: float | None) -> str:
    if value is None:
        return "unknown"
    match goal.unit:
        case "seconds":
            return format_decimal(value)
        case "gain":
            return f"{value:+.0%}"
        case _:
            return f"{value:.1%}" if value != goal.wanted else f"{value:.0%}"


def _duration(seconds: float | None) -> str:
    return "unknown" if seconds is None else format_decimal(seconds)


def _ago(moment: datetime, now: datetime) -> str:
    """How long ago, or the day when it is longer than two days."""
    passed = now - moment
    if passed > timedelta(days=2):
        return f"{moment.astimezone(UTC):%Y-%m-%d}"
    return f"{format_decimal(max(passed, timedelta()))} ago"
