"""Traces and metrics of a sync, as a collector receives them (OTLP over HTTP, protobuf)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from flows.local.sample_registry.images import single
from mirror.outcome import RunStatus
from mirror.telemetry import stop_telemetry, telemetry_on
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, CoreSync, endpoint_of, seed


@dataclass
class Collector:
    """What arrived: spans by name, metrics by name, and the headers of requests."""

    url: str = ""
    spans: list[Any] = field(default_factory=list)
    metrics: dict[str, list[Any]] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)
    raw: bytes = b""

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw += body
        if request.path.endswith("/traces"):
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.services.add(attributes(of_resource.resource)["service.name"])
                for scope in of_resource.scope_spans:
                    self.spans += scope.spans
        else:
            for each in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for measured in each.scope_metrics:
                    for metric in measured.metrics:
                        kind = getattr(metric, metric.WhichOneof("data"))
                        self.metrics.setdefault(metric.name, []).extend(kind.data_points)
        return web.Response()

    def named(self, name: str) -> list[Any]:
        return [each for each in self.spans if each.name == name]


def attributes(of: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    found = Collector()
    app = web.Application()
    app.router.add_post("/{tail:.*}", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (socket,) = site._server.sockets  # type: ignore[union-attr]
    found.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    stop_telemetry()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
    yield found
    await asyncio.to_thread(stop_telemetry)
    await runner.cleanup()


async def test_a_run_its_steps_tags_and_requests_are_spans_and_figures(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    async with FakeRegistry() as source, FakeRegistry() as target:
        seed(source.store, SOURCE, ["1.0", "2.0"], single("traced"))
        target.faults.add(Rule("PUT .*/manifests/2.0", Respond(400), times=None))
        synced = await CoreSync(endpoint_of(source), endpoint_of(target)).sync()
        assert synced.outcome.status is RunStatus.PARTIAL
    await asyncio.to_thread(stop_telemetry)  # sends what is left
    assert collector.services == {"hagicode-mirror"}
    (run,) = collector.named("sync")
    said = attributes(run)
    assert (said["mirror.run.id"], said["mirror.run.status"]) == (synced.outcome.run_id, "partial")
    steps = {each.name: each for each in collector.spans if each.parent_span_id == run.span_id}
    assert {"discover", "diff", "copy", "verify"} <= steps.keys()
    tags = collector.named("copy tag")
    assert {attributes(tag)["mirror.tag"] for tag in tags} == {"1.0", "2.0"}
    in_tags = [each for each in collector.spans if each.parent_span_id in {t.span_id for t in tags}]
    puts = [attributes(each) for each in in_tags if each.name == "PUT"]
    assert {put["http.response.status_code"] for put in puts} == {201, 400}
    assert {put["server.address"] for put in puts} == {target.host}
    assert all(each.trace_id == run.trace_id for each in in_tags)
    copies = {attributes(p)["mirror.copy.result"]: p for p in collector.metrics["mirror.copies"]}
    assert {result: point.as_int for result, point in copies.items()} == {"copied": 1, "failed": 1}
    (sent,) = collector.metrics["mirror.copied.bytes"]
    assert sent.as_int == sum(one.bytes_copied for one in synced.outcomes.values())
    durations = collector.metrics["http.client.request.duration"]
    requests = [each for each in collector.spans if each.kind == 3]  # CLIENT
    assert sum(point.count for point in durations) == len(requests)
    assert b"digest=" not in collector.raw and b"_state=" not in collector.raw


def test_nothing_is_imported_where_nothing_is_asked_for() -> None:
    program = (
        "import sys, flows, mirror.sync, mirror.telemetry as t\n"
        "with t.span('x'): t.count('mirror.runs', 1, {})\n"
        "assert not t.telemetry_on()\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", program], env={}, check=True)


def test_without_the_extra_a_line_says_so_and_the_work_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop_telemetry()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    assert not telemetry_on() and not telemetry_on()
    assert caplog.text.count("hagicode-mirror[otel]") == 1
    stop_telemetry()
