"""Writes the dashboards of Grafana: `.venv/bin/python deploy/grafana/build.py`.

Two dashboards: the history, by SQL on the report views, and the metrics, by PromQL on /metrics. The
panels are listed here; a test compares the JSON with this file and runs every query.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "dashboards"
SQL = {"type": "grafana-postgresql-datasource", "uid": "mirror-history"}
PROMQL = {"type": "prometheus", "uid": "mirror-metrics"}
WIDTH, HEIGHT = 12, 8  # of a panel; a row is 24 wide
DAY = "day::timestamp AT TIME ZONE 'UTC' AS time"
IN_RANGE = "day BETWEEN $__timeFrom()::date AND $__timeTo()::date AND mirror IN ($mirror)"

HISTORY = [
    (
        "Freshness: tags now",
        "table",
        "SELECT mirror, tags, tags_in_sync, tags_behind, tags_failing, tags_held, tags_gone,"
        " oldest_lag_seconds, last_success_at, last_run_status"
        " FROM report_freshness WHERE mirror IN ($mirror) ORDER BY tags_behind DESC, mirror",
        "short",
    ),
    (
        "Fleet: every mirror, with its source, target and schedule",
        "table",
        "SELECT f.mirror, source.registry || '/' || source.name AS source,"
        " target.registry || '/' || target.name AS target, f.every_seconds, f.goal_seconds,"
        " f.last_run_at, f.last_run_status FROM report_freshness f"
        " JOIN mirror m ON m.name = f.mirror JOIN repository source ON source.id = m.source_id"
        " JOIN repository target ON target.id = m.target_id"
        " ORDER BY f.mirror",
        "short",
    ),
    (
        "Delay from push to verified arrival, 95th percentile",
        "timeseries",
        f"SELECT {DAY}, mirror, p95_seconds AS delay FROM report_delay WHERE {IN_RANGE} ORDER BY 1",
        "s",
    ),
    (
        "Runs that succeeded",
        "timeseries",
        f"SELECT {DAY}, mirror, run_success_rate AS share FROM report_success_rate"
        f" WHERE {IN_RANGE} ORDER BY 1",
        "percentunit",
    ),
    (
        "Tags that arrived",
        "timeseries",
        f"SELECT {DAY}, mirror, tag_success_rate AS share FROM report_success_rate"
        f" WHERE {IN_RANGE} ORDER BY 1",
        "percentunit",
    ),
    (
        "Failures by reason",
        "timeseries",
        f"SELECT {DAY}, reason, sum(failures) AS failures FROM report_failures"
        f" WHERE {IN_RANGE} GROUP BY day, reason ORDER BY 1",
        "short",
    ),
    (
        "Newest failures",
        "table",
        "SELECT last_at, mirror, tag, reason, failures, last_message FROM report_failures"
        f" WHERE {IN_RANGE} ORDER BY last_at DESC LIMIT 100",
        "short",
    ),
    (
        "Bytes copied",
        "timeseries",
        f"SELECT {DAY}, mirror, bytes_copied AS bytes FROM report_traffic"
        f" WHERE {IN_RANGE} ORDER BY 1",
        "decbytes",
    ),
    (
        "Least pull quota left",
        "timeseries",
        f"SELECT {DAY}, registry, least_share AS share FROM report_quota WHERE day BETWEEN"
        " $__timeFrom()::date AND $__timeTo()::date ORDER BY 1",
        "percentunit",
    ),
    (
        "Pull speed, mirror against source",
        "timeseries",
        f"SELECT {DAY}, mirror || ' at ' || side AS series, bytes FROM report_pull_speed,"
        " LATERAL (VALUES ('source', source_bytes_per_second), ('mirror', target_bytes_per_second))"
        f" AS pull (side, bytes) WHERE {IN_RANGE} ORDER BY 1",
        "Bps",
    ),
    (
        "Pulls that failed",
        "timeseries",
        f"SELECT {DAY}, mirror, failure_rate AS share FROM report_pull_failures"
        f" WHERE {IN_RANGE} ORDER BY 1",
        "percentunit",
    ),
    (
        "Newest runs",
        "table",
        "SELECT started_at, mirror, status, trigger, tags_changed, tags_copied, tags_failed,"
        " bytes_copied, seconds_total, reason, message FROM report_recent_runs"
        " WHERE mirror IN ($mirror) ORDER BY started_at DESC LIMIT 100",
        "short",
    ),
]
_OF = '{mirror=~"$mirror"}'
METRICS = [
    (
        "Freshness: tags behind",
        "timeseries",
        'hagicode_mirror_tags{mirror=~"$mirror", state="behind"}',
        "short",
    ),
    (
        "Tags by state",
        "timeseries",
        f"sum by (state) (hagicode_mirror_tags{_OF})",
        "short",
    ),
    (
        "Fleet: every mirror, with its source and target",
        "table",
        "hagicode_mirror_tags"
        '{state="in_sync"} * on (mirror) group_left (source, target) hagicode_mirror_mirror_info',
        "short",
    ),
    (
        "Oldest lag",
        "timeseries",
        f"hagicode_mirror_oldest_lag_seconds{_OF}",
        "s",
    ),
    (
        "Delay of 7 days, by quantile",
        "timeseries",
        f"hagicode_mirror_delay_seconds{_OF}",
        "s",
    ),
    (
        "Time since the last success",
        "timeseries",
        f"time() - hagicode_mirror_last_success_timestamp_seconds{_OF}",
        "s",
    ),
    (
        "Success of 7 days",
        "timeseries",
        f"hagicode_mirror_success_ratio{_OF}",
        "percentunit",
    ),
    (
        "Runs that failed, by how",
        "timeseries",
        "sum by (mirror, status) (increase("
        'hagicode_mirror_runs_total{mirror=~"$mirror", status!="succeeded"}[1h]))',
        "short",
    ),
    (
        "Bytes copied per second",
        "timeseries",
        f"rate(hagicode_mirror_copied_bytes_total{_OF}[1h])",
        "Bps",
    ),
    (
        "Requests per second, by side",
        "timeseries",
        f"sum by (side) (rate(hagicode_mirror_requests_total{_OF}[1h]))",
        "reqps",
    ),
    (
        "Pull quota left, the least of 7 days",
        "timeseries",
        "hagicode_mirror_quota_least_remaining",
        "short",
    ),
    (
        "Pull speed of 7 days",
        "timeseries",
        f"hagicode_mirror_pull_speed_bytes_per_second{_OF}",
        "Bps",
    ),
    (
        "Pulls that failed, of 7 days",
        "timeseries",
        f"hagicode_mirror_pull_failure_ratio{_OF}",
        "percentunit",
    ),
]


def _panel(number: int, title: str, kind: str, query: str, unit: str, source: Any) -> Any:
    promql = source is PROMQL
    target: dict[str, Any] = {"refId": "A", "datasource": source}
    if promql:
        target |= {"expr": query, "range": kind != "table", "instant": kind == "table"}
        if kind == "table":
            target["format"] = "table"
    else:
        target |= {
            "rawSql": query,
            "rawQuery": True,
            "editorMode": "code",
            "format": "table" if kind == "table" else "time_series",
        }
    limits = {"min": 0, "max": 1} if unit == "percentunit" else {"min": 0}
    return {
        "id": number + 1,
        "title": title,
        "type": kind,
        "datasource": source,
        "gridPos": {
            "h": HEIGHT,
            "w": WIDTH,
            "x": number % 2 * WIDTH,
            "y": number // 2 * HEIGHT,
        },
        "fieldConfig": {
            "defaults": {"unit": unit} | (limits if kind == "timeseries" else {}),
            "overrides": [],
        },
        "targets": [target],
    }


def _dashboard(uid: str, title: str, panels: list[Any], source: Any, mirrors: str) -> Any:
    return {
        "uid": uid,
        "title": title,
        "tags": ["hagicode-mirror"],
        "schemaVersion": 39,
        "editable": False,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": "now-30d" if source is SQL else "now-7d", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "mirror",
                    "label": "Mirror",
                    "type": "query",
                    "datasource": source,
                    "query": mirrors,
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                    "current": {"text": "All", "value": "$__all"},
                }
            ]
        },
        "panels": [_panel(number, *panel, source) for number, panel in enumerate(panels)],
    }


def dashboards() -> dict[str, Any]:
    """The dashboards by the name of their file."""
    labels = "label_values(hagicode_mirror_tags, mirror)"
    names = "SELECT name FROM mirror ORDER BY name"
    return {
        "history.json": _dashboard("mirror-history", "Mirrors: history", HISTORY, SQL, names),
        "metrics.json": _dashboard("mirror-metrics", "Mirrors: metrics", METRICS, PROMQL, labels),
    }


if __name__ == "__main__":
    for name, dashboard in dashboards().items():
        text = json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"
        (FOLDER / name).write_text(text, encoding="utf-8")
