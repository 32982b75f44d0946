"""A layer arrives over a line that breaks again and again, most of its bytes sent once."""

from __future__ import annotations

from collections.abc import Callable

from mirror.registry import Concurrency, Endpoint, Registry, copy_blob
from tests.registry.breaking_line import breaking_line
from tests.registry.conftest import content, put_blob
from tests.support.registry_process import DockerRegistry


async def test_a_layer_arrives_over_a_line_that_breaks_in_both_directions(
    shared_docker_registry: DockerRegistry, registry: Registry, fresh_name: Callable[[], str]
) -> None:
    data, descriptor = content(100 << 20)
    name, copy = fresh_name(), fresh_name()
    one = Concurrency(transfers=1)  # ranges fetched ahead are given up with a session
    await put_blob(registry.repository(name), data)
    async with (
        breaking_line(shared_docker_registry.host, 5 << 20) as from_source,
        breaking_line(shared_docker_registry.host, 5 << 20) as to_target,
        Registry(Endpoint(from_source.host, insecure=True), concurrency=one) as source,
        Registry(Endpoint(to_target.host, insecure=True)) as target,
    ):
        await copy_blob(source.repository(name), target.repository(copy), descriptor)

    assert await registry.repository(copy).head_blob(descriptor.digest) == len(data)
    assert min(from_source.broken, to_target.broken) > 0, "or else this says nothing"
    sent_twice = (from_source.down - len(data), to_target.up - len(data))
    assert max(sent_twice) <= 0.15 * len(data)
