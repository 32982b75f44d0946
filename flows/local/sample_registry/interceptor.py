"""What may come between a sample server and its clients."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from flows.local.sample_registry.replies import Reply


class DroppedError(Exception):
    """The connection is to be cut after `last` bytes more; `reset` sends RST instead of FIN."""

    def __init__(self, last: bytes, *, reset: bool) -> None:
        super().__init__("connection dropped by an interceptor")
        self.last = last
        self.reset = reset


@dataclass(frozen=True)
class Interceptor:
    """Changes nothing; the base of all interceptors. Any method may raise DroppedError."""

    async def before(self) -> Reply | None:
        """Called when the request's headers are there; a reply is sent instead of the true one."""
        return None

    def amend(self, reply: Reply) -> Reply:
        """The reply that is sent instead of the true one."""
        return reply

    async def received(self, offset: int, chunk: bytes) -> bytes:
        """What the server gets instead of `chunk`, found at `offset` of the request's body."""
        return chunk

    async def sent(self, offset: int, chunk: bytes) -> bytes:
        """What the client gets instead of `chunk`, found at `offset` of the reply's body."""
        return chunk


@dataclass(frozen=True)
class Crawl(Interceptor):
    """Sends the reply's body at `rate` bytes a second."""

    rate: int

    async def sent(self, offset: int, chunk: bytes) -> bytes:
        await asyncio.sleep(len(chunk) / self.rate)
        return chunk
