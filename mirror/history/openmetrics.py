"""The history as OpenMetrics text, for Prometheus and others.

Counters run from the beginning of the history: its daily figures are kept for ever. Ratios and
quantiles are over the window of the report. Unknown values are absent, never 0 or 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.utils import floatToGoString

from mirror.history.figures import MirrorReport, Report, Totals
from mirror.history.reports import Part, read_report, read_totals

WINDOW = timedelta(days=7)
_PREFIX = "hagicode_mirror_"


def read_openmetrics(engine: sa.Engine, *, quotas: bool = False) -> str:
    """The metrics of all mirrors, pull quotas only if they are requested. Raises DatabaseAway."""
    lately = read_report(engine, WINDOW, parts=Part.NONE)
    ever = read_totals(engine, [mirror.mirror for mirror in lately.mirrors])
    return render(ever, lately, quotas=quotas)


def render(ever: Mapping[str, Totals], lately: Report, *, quotas: bool = False) -> str:
    """Totals of all time and the report of the window, as OpenMetrics 1.0 text with its `# EOF`.

    Names of accounts are not in it: /metrics may be public.
    """
    return "".join(_lines(_Collector(ever, lately, quotas).collect()))


def _lines(families: Iterable[Metric]) -> Iterator[str]:
    """The text format of OpenMetrics 1.0, as prometheus_client writes it in four times the time.

    It looks at every character of every label for what is not allowed in names; here names are
    ours, and only values are escaped.
    """
    for family in families:
        yield f"# HELP {family.name} {_escaped(family.documentation)}\n"
        yield f"# TYPE {family.name} {family.type}\n"
        if family.unit:
            yield f"# UNIT {family.name} {family.unit}\n"
        for sample in family.samples:
            labels = ",".join(
                f'{name}="{_escaped(value)}"' for name, value in sorted(sample.labels.items())
            )
            yield f"{sample.name}{{{labels}}} {_number(sample.value)}\n"
    yield "# EOF\n"


def _number(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # as shipped
    return text


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


@dataclass(frozen=True, slots=True)
class _Collector:
    ever: Mapping[str, Totals]
    lately: Report
    quotas: bool

    def collect(self) -> Iterator[Metric]:
        yield self._info()
        yield from self._now()
        yield from self._counters()
        yield from self._window()
        if self.quotas:
            yield self._quotas()

    def _info(self) -> Metric:
        info = InfoMetricFamily(f"{_PREFIX}mirror", "What is mirrored where.", labels=["mirror"])
        for mirror in self.lately.mirrors:
            now = mirror.status
            info.add_metric([mirror.mirror], {"source": now.source, "target": now.target})
        return info

    def _now(self) -> Iterator[Metric]:
        tags = _gauge("tags", "Tags now, by state.", "state")
        lag = _gauge("oldest_lag_seconds", "How long the tag has waited that waits longest.")
        goal = _gauge("delay_goal_seconds", "From push to verified at the target, at most.")
        success = _gauge("last_success_timestamp_seconds", "When a run last succeeded.")
        arrival = _gauge("last_arrival_timestamp_seconds", "When a tag last arrived.")
        for mirror in self.lately.mirrors:
            now = mirror.status
            for state in ("in_sync", "behind", "failing", "held", "gone"):
                tags.add_metric([mirror.mirror, state], getattr(now, state))
            _add(lag, mirror, now.oldest_lag.total_seconds() if now.oldest_lag else 0.0)
            _add(goal, mirror, now.delay_goal.total_seconds())
            _add(success, mirror, _timestamp(now.last_success_at))
            _add(arrival, mirror, _timestamp(now.last_arrival_at))
        yield from (tags, lag, goal, success, arrival)

    def _counters(self) -> Iterator[Metric]:
        runs = _counter("runs", "Sync runs that ended, by how.", "status")
        tags = _counter("tag_records", "Tag records that ended, by how.", "status")
        sent = _counter("copied_bytes", "Bytes sent to the target.")
        asked = _counter("requests", "HTTP requests, by side.", "side")
        for name, total in self.ever.items():
            traffic = total.traffic
            for status in ("succeeded", "partial", "failed", "abandoned"):
                runs.add_metric([name, status], getattr(total.runs, status))
            for status in ("succeeded", "failed", "abandoned"):
                tags.add_metric([name, status], getattr(total.tags, status))
            sent.add_metric([name], traffic.bytes_copied)
            asked.add_metric([name, "source"], traffic.requests_source)
            asked.add_metric([name, "target"], traffic.requests_target)
        yield from (runs, tags, sent, asked)

    def _window(self) -> Iterator[Metric]:
        success = _gauge("success_ratio", "Share that ended well in the last 7 days.", "of")
        delay = SummaryMetricFamily(
            f"{_PREFIX}delay_seconds",
            "From push to verified at the target, of tags of the last 7 days.",
            labels=["mirror"],
            unit="seconds",
        )
        speed = _gauge("pull_speed_bytes_per_second", "Pulls of the last 7 days.", "side")
        failed = _gauge("pull_failure_ratio", "Share of pulls that failed, last 7 days.", "side")
        met = _gauge("goal_met", "1: the goal is met over the last 7 days; 0: missed.", "goal")
        for mirror in self.lately.mirrors:
            pulls = mirror.pulls
            _add(success, mirror, mirror.runs.success_rate, "runs")
            _add(success, mirror, mirror.tags.success_rate, "tags")
            _add_delay(delay, mirror, self.ever[mirror.mirror].delays)
            _add(speed, mirror, pulls.bytes_per_second, "target")
            _add(speed, mirror, pulls.source_bytes_per_second, "source")
            _add(failed, mirror, pulls.failure_rate, "target")
            _add(failed, mirror, pulls.source_failure_rate, "source")
            for goal in mirror.goals:
                _add(met, mirror, goal.met, goal.name)
        yield from (success, delay, speed, failed, met)

    def _quotas(self) -> Metric:
        left = GaugeMetricFamily(
            f"{_PREFIX}quota_least_remaining",
            "Fewest pulls that were left of a quota in the last 7 days.",
            labels=["registry"],
        )
        least: dict[str, float] = {}
        for quota in self.lately.quotas:
            known = least.get(quota.registry, quota.least_remaining)
            least[quota.registry] = min(known, quota.least_remaining)
        for registry, remaining in least.items():
            left.add_metric([registry], remaining)
        return left


def _gauge(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    unit = name.rsplit("_", 1)[-1] if name.endswith(("_seconds", "_ratio")) else ""
    return GaugeMetricFamily(_PREFIX + name, documentation, labels=["mirror", *labels], unit=unit)


def _counter(name: str, documentation: str, *labels: str) -> CounterMetricFamily:
    unit = "bytes" if name.endswith("_bytes") else ""
    return CounterMetricFamily(_PREFIX + name, documentation, labels=["mirror", *labels], unit=unit)


def _add(
    family: GaugeMetricFamily, mirror: MirrorReport, value: float | None, *labels: str
) -> None:
    if value is not None:
        family.add_metric([mirror.mirror, *labels], float(value))


def _add_delay(family: SummaryMetricFamily, mirror: MirrorReport, count: int) -> None:
    """Quantiles of the window; the count, which may only grow, of all time."""
    delay, name = mirror.delay, family.name
    for quantile, value in (("0.5", delay.p50), ("0.95", delay.p95), ("0.99", delay.p99)):
        if value is not None:
            family.add_sample(name, {"mirror": mirror.mirror, "quantile": quantile}, value)
    family.add_sample(f"{name}_count", {"mirror": mirror.mirror}, count)


def _timestamp(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None
