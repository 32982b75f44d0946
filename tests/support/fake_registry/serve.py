"""Two registries and Docker Hub's web API as a separate process, to try clients against.

    python -m tests.support.fake_registry.serve --releases 5 --rate 2000000

writes one line of JSON, {"source": "127.0.0.1:...", "target": ..., "hub": "http://..."}, once all
of it listens and the source is filled, and serves until SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from flows.local.sample_registry.interceptor import Crawl
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.faults import Rule
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.push import push
from tests.support.fake_registry.quirks import NAMED, SPECIFICATION
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fake_registry.releases import past_releases

DEFAULT_REPOSITORY = "newbe36524/hagicode"


@dataclass(frozen=True)
class Options:
    """What to serve. Ports: 0 takes a free one. `rate` in bytes a second, `size` in bytes."""

    repository: str = DEFAULT_REPOSITORY
    releases: int = 0
    size: int = 200_000
    rate: int | None = None
    source: Behaviour = SPECIFICATION
    target: Behaviour = SPECIFICATION
    source_port: int = 0
    target_port: int = 0
    hub_port: int = 0


@dataclass(frozen=True)
class Served:
    """What is being served."""

    source: FakeRegistry
    target: FakeRegistry
    hub: FakeHub


async def start(options: Options, stack: AsyncExitStack) -> Served:
    """Start both registries and Hub's web API in `stack`, and fill the source."""
    slow = (Rule("^GET /v2/.*/blobs/", Crawl(options.rate), times=None),) if options.rate else ()
    source = FakeRegistry(options.source, port=options.source_port, faults=slow)
    target = FakeRegistry(options.target, port=options.target_port)
    hub = FakeHub(source.store, port=options.hub_port)
    for server in (source, target, hub):
        await stack.enter_async_context(server)
    for release in past_releases(options.releases, sizes=(options.size, options.size // 2)):
        await push(source.url, options.repository, release.tags, release.image)
    return Served(source, target, hub)


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        served = await start(options, stack)
        line = {"source": served.source.host, "target": served.target.host, "hub": served.hub.url}
        print(json.dumps(line), flush=True)  # noqa: T201 - a command
        await ended.wait()


def parsed(arguments: Sequence[str] | None = None) -> Options:
    """Options from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.fake_registry.serve", description=__doc__
    )
    parser.add_argument("--repository", default=DEFAULT_REPOSITORY)
    parser.add_argument("--releases", type=int, default=0, help="releases that the source holds")
    parser.add_argument("--size", type=int, default=200_000, help="bytes of the largest layers")
    parser.add_argument("--rate", type=int, help="bytes a second of each download")
    for side in ("source", "target"):
        parser.add_argument(f"--{side}", choices=sorted(NAMED), default=SPECIFICATION.name)
    for server in ("source", "target", "hub"):
        parser.add_argument(f"--{server}-port", type=int, default=0)
    given = parser.parse_args(arguments)
    return Options(
        given.repository,
        given.releases,
        given.size,
        given.rate,
        NAMED[given.source],
        NAMED[given.target],
        given.source_port,
        given.target_port,
        given.hub_port,
    )


if __name__ == "__main__":
    asyncio.run(serve(parsed()))
