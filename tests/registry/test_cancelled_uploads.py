"""A copy that is cancelled cancels its upload session at the target."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mirror.registry import Endpoint, Registry, copy_blob
from tests.registry.breaking_line import breaking_line
from tests.registry.conftest import content, put_blob
from tests.support.registry_process import DockerRegistry


async def test_an_upload_under_way_is_cancelled_at_the_registry(
    shared_docker_registry: DockerRegistry, registry: Registry, fresh_name: Callable[[], str]
) -> None:
    data, descriptor = content(8 << 20)
    name, copy = fresh_name(), fresh_name()
    await put_blob(registry.repository(name), data)
    sending = asyncio.Event()
    async with (
        breaking_line(shared_docker_registry.host, rate=1 << 20) as line,
        Registry(Endpoint(line.host, insecure=True)) as source,
    ):
        copying = asyncio.create_task(
            copy_blob(
                source.repository(name),
                registry.repository(copy),
                descriptor,
                progress=lambda _: sending.set(),
            )
        )
        await sending.wait()
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
    # distribution 2.8 refuses it after a request that broke off ("upload resumed at wrong offest")
    # and removes the session a week later; others do it at once.
    asked = [line for line in shared_docker_registry.log.splitlines() if "method=DELETE" in line]
    assert any(f"/v2/{copy}/blobs/uploads/" in line for line in asked)
