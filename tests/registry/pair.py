"""Two registries, a blob at one of them, and faults of copying it to the other."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

from flows.local.sample_registry.interceptor import DroppedError, Interceptor
from flows.local.sample_registry.replies import Reply
from mirror.registry import (
    Clock,
    Descriptor,
    Endpoint,
    Registry,
    Timeouts,
    copy_blob,
)
from tests.registry.test_kinds_of_registries import NAME
from tests.support.fake_registry.registry import FakeRegistry

MIB = 1 << 20
SIZE = 12 * MIB


@dataclass(frozen=True)
class LostAnswer(Interceptor):
    """The registry does what it was asked for, and the connection breaks before it says so."""

    def amend(self, answer: Reply) -> Reply:
        raise DroppedError(b"", reset=True)


class Pair:
    """Two registries in memory, a blob at the source, and clients of both."""

    def __init__(self, origin: FakeRegistry, demo: FakeRegistry) -> None:
        self.origin, self.demo = origin, demo
        self.data = os.urandom(SIZE)
        digest = origin.store.add_blob("a/b", self.data)
        self.blob = Descriptor("application/octet-stream", digest, SIZE)
        self.reported = 0
        self.whole_put: bool | None = None

    async def copy(self, *, timeouts: Timeouts | None = None) -> None:
        """Copy the blob with fresh clients."""

        def report(count: int) -> None:
            self.reported += count

        async with (
            hasty(self.origin.host, timeouts) as source,
            hasty(self.demo.host, timeouts) as target,
        ):
            target.capabilities.whole_put = self.whole_put
            there = target.repository(NAME)
            await copy_blob(source.repository("a/b"), there, self.blob, progress=report)

    @property
    def arrived(self) -> bool:
        """Whether the target holds the blob, whole and right."""
        held = self.demo.store.blob(NAME, self.blob.digest)
        return held is not None and held.read() == self.data

    def bytes_up(self) -> int:
        """Bytes of blobs that the target was sent."""
        return sum(one.received for one in self.demo.exchanges)

    def bytes_down(self) -> int:
        """Bytes that the source sent."""
        return sum(one.sent for one in self.origin.exchanges)


def hasty(host: str, timeouts: Timeouts | None = None) -> Registry:
    """A client that waits for nothing before it tries again."""

    async def no_wait(seconds: float) -> None:
        await asyncio.sleep(0)

    return Registry(Endpoint(host, insecure=True), timeouts=timeouts, clock=Clock(sleep=no_wait))
