"""Reports as JSON documents and as CSV rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from mirror.history.figures import Report

CSV_COLUMNS = (
    *("mirror", "day", "runs", "runs_succeeded", "runs_partial", "runs_failed", "runs_abandoned"),
    *("run_success_rate", "tags", "tags_succeeded", "tags_failed", "tags_abandoned"),
    *("tags_retried", "tag_success_rate", "delay_samples", "delay_p50_seconds"),
    *("delay_p95_seconds", "delay_p99_seconds", "delay_max_seconds", "delay_in_goal_share"),
    *("bytes_copied", "requests_source", "requests_target", "seconds"),
)


def as_json(value: Any) -> Any:
    """A value of figures.py, or one from SQL, as JSON types.

    A dataclass becomes an object of its fields and properties; times are ISO 8601 in UTC,
    durations seconds, unknown null.
    """
    match value:
        case _ if is_dataclass(value) and not isinstance(value, type):
            own = [field.name for field in fields(value)]
            derived = [name for name, it in vars(type(value)).items() if isinstance(it, property)]
            return {name: as_json(getattr(value, name)) for name in (*own, *derived)}
        case tuple() | list():
            return [as_json(item) for item in value]
        case dict():
            return {str(key): as_json(item) for key, item in value.items()}
        case datetime() | date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case str() | int() | float() | bool() | None:
            return value
        case UUID():
            return str(value)
        case _:
            return str(value)


def csv_rows(report: Report) -> Iterator[tuple[Any, ...]]:
    """A row for each mirror and day, in the order of CSV_COLUMNS."""
    for mirror in report.mirrors:
        for day in mirror.days:
            runs, tags, delay, traffic = day.runs, day.tags, day.delay, day.traffic
            yield (
                *(mirror.mirror, day.day, runs.counted, runs.succeeded, runs.partial, runs.failed),
                *(runs.abandoned, runs.success_rate, tags.counted, tags.succeeded, tags.failed),
                *(tags.abandoned, tags.retried, tags.success_rate, delay.samples, delay.p50),
                *(delay.p95, delay.p99, delay.max, delay.in_goal_share, traffic.bytes_copied),
                *(traffic.requests_source, traffic.requests_target, traffic.seconds),
            )
