"""A source that gives each connection little is read over many of them, in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror.registry import Concurrency, Endpoint, Registry, copy_blob
from mirror.registry.http.retries import Clock
from mirror.registry.http.throughput import ParallelTrial, Throughput
from tests.registry.breaking_line import breaking_line
from tests.registry.conftest import content, put_blob
from tests.support.registry_process import DockerRegistry

RATE = 2 << 20  # bytes a second and connection


async def test_a_large_layer_comes_over_many_connections(
    shared_docker_registry: DockerRegistry, registry: Registry, fresh_name: Callable[[], str]
) -> None:
    data, descriptor = content(24 << 20)
    name, copy = fresh_name(), fresh_name()
    await put_blob(registry.repository(name), data)
    async with (
        breaking_line(shared_docker_registry.host, rate=RATE) as line,
        Registry(Endpoint(line.host, insecure=True)) as source,
    ):
        await copy_blob(source.repository(name), registry.repository(copy), descriptor)
        assert source.downloads.free == Concurrency().transfers, "every slot was given back"

    assert await registry.repository(copy).head_blob(descriptor.digest) == len(data)
    assert line.connections > 8
    assert line.most_at_once > 4
    assert line.most_down < len(data) / 2, "one connection would take twice as long at least"
    assert line.down < 1.1 * len(data)


async def test_a_source_at_full_speed_is_read_over_one_connection(
    shared_docker_registry: DockerRegistry, registry: Registry, fresh_name: Callable[[], str]
) -> None:
    data, descriptor = content(24 << 20)
    name, copy = fresh_name(), fresh_name()
    await put_blob(registry.repository(name), data)
    async with (
        breaking_line(shared_docker_registry.host) as line,
        Registry(Endpoint(line.host, insecure=True)) as source,
    ):
        await copy_blob(source.repository(name), registry.repository(copy), descriptor)
    assert line.connections == 1


def verdicts(
    throughput: Throughput, passed: list[float], before: float, after: float
) -> list[bool]:
    """What a trial says every tenth of a second for two seconds, while `after` bytes/s come."""
    trial, verdict = ParallelTrial(throughput, before), []
    for _ in range(20):
        passed[0] += 0.1
        throughput.bytes += int(after / 10)
        verdict.append(trial.ends_in_failure())
        assert trial.failed is any(verdict)
    return verdict


def test_more_connections_pay_where_they_bring_a_fifth_more() -> None:
    passed = [0.0]
    throughput = Throughput(Clock(monotonic=lambda: passed[0]))
    assert not any(verdicts(throughput, passed, before=1e6, after=1.25e6))
    assert throughput.more_may_pay


def test_more_connections_that_bring_no_more_are_left_for_a_minute() -> None:
    passed = [0.0]
    throughput = Throughput(Clock(monotonic=lambda: passed[0]))
    assert verdicts(throughput, passed, before=1e6, after=1.1e6).count(True) == 1
    assert not throughput.more_may_pay
    passed[0] += 61
    assert throughput.more_may_pay


async def test_a_blob_whose_ranges_are_given_up_goes_on_over_one_connection(
    shared_docker_registry: DockerRegistry,
    registry: Registry,
    fresh_name: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mirror.registry.http.throughput._WARM_UP", 0)
    monkeypatch.setattr("mirror.registry.http.throughput._TRIAL", 0)
    monkeypatch.setattr(
        "mirror.registry.http.throughput._PAYS", 1e9
    )  # whatever comes is not enough
    monkeypatch.setattr("mirror.registry.blob_ranges._CONNECTIONS", 4)
    data, descriptor = content(8 << 20)
    name, copy, again = fresh_name(), fresh_name(), fresh_name()
    await put_blob(registry.repository(name), data)
    async with (
        breaking_line(shared_docker_registry.host, rate=RATE) as line,
        Registry(Endpoint(line.host, insecure=True)) as source,
    ):
        await copy_blob(source.repository(name), registry.repository(copy), descriptor)
        assert 2 < source.requests <= 6, "the stream, four ranges at most, and the stream again"
        assert source.downloads.free == Concurrency().transfers, "every slot was given back"
        sent = source.requests
        await copy_blob(source.repository(name), registry.repository(again), descriptor)
        assert source.requests == sent + 1, "the next blob is left to one connection"
    assert await registry.repository(copy).head_blob(descriptor.digest) == len(data)
    assert await registry.repository(again).head_blob(descriptor.digest) == len(data)
