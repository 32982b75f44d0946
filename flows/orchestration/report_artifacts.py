"""A report as Prefect artifacts: Markdown for people, rows for tables, bounded in length."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from mirror.alerts import OpenAlert, plain
from mirror.history import Goal, MirrorReport, Report
from mirror.units import format_duration, format_moment

ROWS = 200
Cell = str | int | float | None

_GOALS = {
    "runs": "runs that succeed",
    "tags": "tags that arrive",
    "delay_p95": "delay, 95 of 100 tags",
    "pull_speed": "pull speed against source",
    "pull_failures": "pulls that fail",
    "adoption": "share of pulls",
}


def goal_rows(report: Report) -> list[dict[str, Cell]]:
    """A row for each mirror and goal, missed ones first."""
    rows: list[dict[str, Cell]] = [
        {
            "mirror": mirror.mirror,
            "goal": _GOALS.get(goal.name, goal.name),
            "wanted": ("≥ " if goal.at_least else "≤ ") + _value(goal, goal.wanted),
            "measured": _value(goal, goal.value) if goal.samples else "unknown",
            "samples": goal.samples,
            "met": {True: "yes", False: "no", None: "unknown"}[goal.met],
        }
        for mirror in report.mirrors
        for goal in mirror.goals
    ]
    rows.sort(key=lambda row: row["met"] != "no")
    return rows[:ROWS]


def alert_rows(alerts: Sequence[OpenAlert]) -> list[dict[str, Cell]]:
    """A row for each open alert, the most urgent first."""
    return [
        {
            "severity": alert.severity.value,
            "rule": alert.rule.value,
            "mirror": alert.mirror,
            "about": alert.subject,
            "since": format_moment(alert.since),
            "what": alert.what.en,
            "error": alert.error,
            "messages not sent yet": alert.unsent,
        }
        for alert in alerts[:ROWS]
    ]


def markdown(report: Report, alerts: Sequence[OpenAlert], failures: Sequence[str]) -> str:
    """The report on one page; `failures` are channels that did not take their messages."""
    since = "the beginning" if report.since is None else format_moment(report.since)
    parts = [
        f"# Mirrors from {since} to {format_moment(report.until)}",
        "## Goals",
        _table(goal_rows(report)) or "The history has no mirror yet.",
        "## Now",
        _table([_now(mirror) for mirror in report.mirrors][:ROWS])
        or "The history has no mirror yet.",
        "## Open alerts",
        _table(alert_rows(alerts)) or "None.",
    ]
    if failed := _table([row for mirror in report.mirrors for row in _failures(mirror)][:ROWS]):
        parts += ["## Failures", failed]
    if failures:
        parts += ["## Channels that failed", *(f"- {failure}" for failure in failures)]
    return "\n\n".join(parts)


def _now(mirror: MirrorReport) -> dict[str, Cell]:
    now, last = mirror.status, mirror.status.last_run
    return {
        "mirror": mirror.mirror,
        "tags": now.tags,
        "in sync": now.in_sync,
        "behind": now.behind,
        "failing": now.failing,
        "oldest lag": "none" if now.oldest_lag is None else format_duration(now.oldest_lag),
        "last run": "never" if last is None else f"{last.status}, {format_moment(last.started_at)}",
        "last success": "never"
        if now.last_success_at is None
        else format_moment(now.last_success_at),
    }


def _failures(mirror: MirrorReport) -> list[dict[str, Cell]]:
    return [
        {
            "mirror": mirror.mirror,
            "tag": failure.tag or "the run",
            "reason": failure.reason,
            "times": failure.count,
            "last": format_moment(failure.last_at),
            "message": failure.last_message,
        }
        for failure in mirror.failures
    ]


def _value(goal: Goal, value: float | None) -> str:
    if value is None:
        return "unknown"
    if goal.unit == "seconds":
        return format_duration(timedelta(seconds=round(value)))
    return f"{value:+.0%}" if goal.unit == "gain" else f"{value:.2%}"


def _table(rows: Sequence[dict[str, Cell]]) -> str:
    if not rows:
        return ""
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(row[name]) for name in head) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Cell) -> str:
    # A registry's text must neither break out of its cell nor become a link.
    return "" if value is None else plain(str(value)).replace("|", "\\|")
