"""The metrics are OpenMetrics by prometheus-client's own parser, and agree with the history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
from prometheus_client import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from mirror.history import PostgresRecorder
from mirror.history.figures import QuotaStats
from mirror.history.openmetrics import _Collector, read_openmetrics, render
from mirror.history.reports import read_report, read_totals
from tests.history.made_history import NAME, NOW, at, make_counts, make_history, make_pulls

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def families(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # as shipped


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"hagicode_mirror_{name}", frozenset({"mirror": NAME, **labels}.items())))


async def test_metrics_of_a_history(recorder: PostgresRecorder, engine: sa.Engine) -> None:
    await make_history(recorder, engine)
    await make_pulls(recorder)
    await make_counts(recorder)
    found = parsed(render(read_totals(engine, [NAME]), read_report(engine, at(22, 0), now=NOW)))
    assert value(found, "tags", state="in_sync") == 5
    assert value(found, "runs_total", status="succeeded") == 4
    assert value(found, "tag_records_total", status="abandoned") == 1
    assert value(found, "copied_bytes_total") == 8_000
    assert value(found, "requests_total", side="source") == 80
    assert value(found, "success_ratio", of="runs") == 0.5
    assert value(found, "delay_seconds", quantile="0.5") == 208_860
    assert value(found, "delay_seconds_count") == 5
    assert value(found, "last_success_timestamp_seconds") == at(22, 10, 2).timestamp()
    assert value(found, "goal_met", goal="delay_p95") == 0
    # The pulls were on 20 November: not in this window, so unknown, so absent.
    assert value(found, "goal_met", goal="pull_speed") is None
    assert value(found, "pull_failure_ratio", side="target") is None


async def test_metrics_of_an_empty_record_claim_nothing(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    text = read_openmetrics(engine)
    found = parsed(text)
    assert text.endswith("# EOF\n")
    assert value(found, "success_ratio", of="runs") is None
    assert value(found, "last_success_timestamp_seconds") is None
    assert value(found, "runs_total", status="succeeded") == 0


@pytest.mark.parametrize("unit", ["seconds", "ratio", "bytes"])
async def test_units_end_the_names(
    recorder: PostgresRecorder, engine: sa.Engine, unit: str
) -> None:
    found = [family for family in families(read_openmetrics(engine)) if family.unit == unit]
    assert found
    assert all(family.name.endswith(f"_{unit}") for family in found)


async def test_quotas_are_shown_on_request_and_accounts_never(engine: sa.Engine) -> None:
    first = QuotaStats("docker.io", "ann", readings=2, quota=200, least_remaining=3)
    second = QuotaStats("docker.io", None, readings=2, quota=100, least_remaining=7)
    ever, lately = read_totals(engine, [NAME]), read_report(engine, at(22, 0), now=NOW)
    lately = replace(lately, quotas=(first, second))
    hidden, shown = render(ever, lately), render(ever, lately, quotas=True)
    assert "quota" not in hidden and "ann" not in shown
    assert 'quota_least_remaining{registry="docker.io"} 3.0' in shown


class _Families:
    """A collector as prometheus_client registers it."""

    def __init__(self, metrics: _Collector) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.collect()


async def test_the_text_is_the_one_that_prometheus_client_writes(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    await make_history(recorder, engine)
    await make_pulls(recorder)
    lately = read_report(engine, at(20, 0), now=NOW)
    (mirror,) = lately.mirrors
    odd = replace(mirror.status, source='a\\b"c\nd')
    lately = replace(lately, mirrors=(replace(mirror, status=odd),))
    ever = read_totals(engine, [NAME])
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(_Collector(ever, lately, quotas=True)))
    expected: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # as shipped
    assert render(ever, lately, quotas=True) == expected.decode()
