"""Traces and metrics by OpenTelemetry, where OTEL_* variables ask for them (extra `otel`).

OpenTelemetry's SDK reads its own variables: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME and so
on. Without an endpoint nothing of it is imported, and a span is an empty block. No attribute holds
an address: those of uploads and of content delivery networks may be signed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from mirror.outside_text import keep_secret, one_line

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

Attributes = Mapping[str, str | int | float]
_NAME: Final = "hagicode-mirror"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_SIGNALS: Final = {
    "traces": ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"),
    "metrics": ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_METRICS_EXPORTER"),
}
_LONGEST: Final = 300  # characters of an attribute


@dataclass(frozen=True)
class _Telemetry:
    """What spans and figures go to."""

    traces: TracerProvider | None
    metrics: MeterProvider | None
    tracer: Tracer | None
    durations: Histogram | None
    counters: Mapping[str, Counter]


def telemetry_on() -> bool:
    """Whether this process sends traces or metrics."""
    return _telemetry() is not None


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, *, client: bool = False
) -> Iterator[Callable[[Attributes], None]]:
    """A span around the block, which is given a function that adds attributes.

    client: it waits for another service. What the block raises is the span's status.
    """
    found = _telemetry()
    if found is None or found.tracer is None:
        yield _nothing
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode

    with found.tracer.start_as_current_span(
        name,
        kind=SpanKind.CLIENT if client else SpanKind.INTERNAL,
        attributes=_clean(attributes or {}),
        record_exception=False,  # its traceback may hold a secret
        set_status_on_exception=False,
    ) as current:
        try:
            yield lambda more: current.set_attributes(_clean(more))
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, one_line(str(error), _LONGEST)))
            raise


def count(name: str, amount: int, attributes: Attributes) -> None:
    """Add to a counter: mirror.runs, mirror.copies or mirror.copied.bytes."""
    found = _telemetry()
    if found is not None and found.counters:
        found.counters[name].add(amount, _clean(attributes))


def measure_request(seconds: float, attributes: Attributes) -> None:
    """Note how long a request took until its headers."""
    found = _telemetry()
    if found is not None and found.durations is not None:
        found.durations.record(seconds, _clean(attributes))


def stop_telemetry() -> None:
    """Send what is left and stop; done at the end of a process by itself."""
    started = _telemetry.cache_info().currsize
    if started and (found := _telemetry()) is not None:
        for provider in (found.traces, found.metrics):
            if provider is not None:
                provider.shutdown()
    _telemetry.cache_clear()


def _nothing(_: Attributes) -> None:
    """Where nothing is traced."""


def _clean(attributes: Attributes) -> dict[str, str | int | float]:
    return {
        name: one_line(value, _LONGEST) if isinstance(value, str) else value
        for name, value in attributes.items()
    }


def _asked(signal: str) -> bool:
    endpoint, exporter = _SIGNALS[signal]
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if os.environ.get(exporter, "") == "none":
        return False
    return bool(os.environ.get(endpoint) or os.environ.get(_ENDPOINT))


@cache
def _telemetry() -> _Telemetry | None:
    if not any(_asked(signal) for signal in _SIGNALS):
        return None
    try:
        return _start()
    except ImportError:
        logging.getLogger("mirror").warning(
            "traces and metrics are not sent: install hagicode-mirror[otel], which has the SDK"
        )
        return None


def _start() -> _Telemetry:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _keep_headers()
    # What OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say goes before the name.
    resource = Resource({SERVICE_NAME: _NAME}).merge(OTELResourceDetector().detect())
    resource = Resource.create().merge(resource)
    traces = metrics = tracer = durations = None
    counters: dict[str, Counter] = {}
    if _asked("traces"):
        traces = TracerProvider(resource=resource)
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        tracer = traces.get_tracer(_NAME)
    if _asked("metrics"):
        metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource)
        meter = metrics.get_meter(_NAME)
        durations = meter.create_histogram(
            "http.client.request.duration", "s", "Requests to registries, until their headers"
        )
        counters = {
            "mirror.runs": meter.create_counter("mirror.runs", "{run}", "Syncs that ended"),
            "mirror.copies": meter.create_counter("mirror.copies", "{tag}", "Copies of tags"),
            "mirror.copied.bytes": meter.create_counter(
                "mirror.copied.bytes", "By", "Bytes sent to targets"
            ),
        }
    return _Telemetry(traces, metrics, tracer, durations, counters)


def _keep_headers() -> None:
    """Redact the credentials of the collector from now on."""
    for name, value in os.environ.items():
        if not (name.startswith("OTEL_") and name.endswith("_HEADERS")):
            continue
        for header in value.split(","):
            secret = unquote(header.partition("=")[2]).strip()
            if secret:
                keep_secret(secret, secret.rpartition(" ")[2])
