"""A source that gives each connection little is read over many of them, in order."""

from __future__ import annotations

import time
from collections.abc import Callable

from flows.registry import Concurrency, Endpoint, Registry, copy_blob
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
        begun = time.monotonic()
        await copy_blob(source.repository(name), registry.repository(copy), descriptor)
        seconds = time.monotonic() - begun
        assert source.downloads.free == Concurrency().transfers, "every slot was given back"

    assert await registry.repository(copy).head_blob(descriptor.digest) == len(data)
    assert line.connections > 8
    assert seconds < len(data) / RATE / 2, "one connection would take twice as long at least"
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


async def test_more_connections_that_bring_no_more_are_given_up_for_a_while(
    shared_docker_registry: DockerRegistry, registry: Registry, fresh_name: Callable[[], str]
) -> None:
    data, descriptor = content(24 << 20)
    name, copy, again = fresh_name(), fresh_name(), fresh_name()
    await put_blob(registry.repository(name), data)
    async with (
        breaking_line(shared_docker_registry.host, shared=4 * RATE) as line,
        Registry(Endpoint(line.host, insecure=True)) as source,
    ):
        await copy_blob(source.repository(name), registry.repository(copy), descriptor)
        tried, sent = line.connections, source.requests
        assert tried > 1, "one connection seemed slow, so more were tried"
        assert sent < len(data) >> 20, "and given up before the blob was through, in ranges of 1 MB"
        await copy_blob(source.repository(name), registry.repository(again), descriptor)
        assert source.requests == sent + 1, "the next blob is left to one connection"
    assert await registry.repository(copy).head_blob(descriptor.digest) == len(data)
    assert await registry.repository(again).head_blob(descriptor.digest) == len(data)
