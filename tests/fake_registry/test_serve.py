"""Sample registries as a separate process."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

from tests.support.fake_registry.push import plain_client
from tests.support.fake_registry.quirks import AZURE
from tests.support.fake_registry.releases import past_releases
from tests.support.fake_registry.serve import Options, parsed
from tests.support.snapshot import snapshot


async def test_the_process_prints_where_it_listens_and_ends_on_sigterm() -> None:
    command = ["-m", "tests.support.fake_registry.serve", "--releases", "2", "--size", "1000"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        printed = json.loads(await asyncio.wait_for(process.stdout.readline(), 90))
        first, second = past_releases(2, sizes=(1000, 500))
        held = await snapshot(f"http://{printed['source']}", "newbe36524/hagicode")
        assert held.whole
        assert held.tags == {
            first.version: first.image.digest,
            **dict.fromkeys(second.tags, second.image.digest),
        }
        assert (await snapshot(f"http://{printed['target']}", "hagicode/hagicode")).tags == {}
        async with plain_client() as client:
            path = "v2/namespaces/newbe36524/repositories/hagicode/tags"
            listed = await client.get(f"{printed['hub']}/{path}")
        assert listed.json()["count"] == 6
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0


def test_options_come_from_the_command_line() -> None:
    assert parsed([]) == Options()
    given = parsed(["--target", "azure", "--rate", "5", "--hub-port", "9"])
    assert given == Options(target=AZURE, rate=5, hub_port=9)
