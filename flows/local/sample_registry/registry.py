"""An OCI registry in memory: distribution-spec v1.1 on a free port of the loopback.

async with SampleRegistry() as registry:
    registry.host                      # "127.0.0.1:40123"
    registry.store.repositories        # what it holds
    registry.exchanges                 # every request that came, with bytes and headers
"""

from __future__ import annotations

from dataclasses import replace
from types import TracebackType
from typing import Self

from aiohttp import web

from flows.local.sample_registry.call import Call
from flows.local.sample_registry.replies import Reply
from flows.local.sample_registry.routes import Match, match
from flows.local.sample_registry.server import Body, LoggedExchange, LoopbackServer
from flows.local.sample_registry.store import Store

_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}


class SampleRegistry:
    """An in-memory registry as an async context manager.

    `port` 0 takes a free one. `store` may be shared with another registry or outlive this one.
    Subclasses override `respond` and `handle` to behave otherwise.
    """

    def __init__(self, *, store: Store | None = None, port: int = 0) -> None:
        self.store = store or Store()
        self.exchanges: list[LoggedExchange] = []
        self.server = LoopbackServer("registry", self.respond, exchanges=self.exchanges, port=port)

    @property
    def host(self) -> str:
        """host:port of the registry."""
        return self.server.host

    @property
    def url(self) -> str:
        """The registry's base address, without a slash at its end."""
        return self.server.url

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.server.__aexit__(kind, error, traceback)

    async def respond(self, request: web.BaseRequest, body: Body) -> Reply:
        """The reply to a request. Raises RefusalError."""
        found = match(request.method, request.path)
        reply = await self.handle(found, self.call(request, body, found))
        return replace(reply, headers={**_VERSION, **reply.headers})

    async def handle(self, found: Match, call: Call) -> Reply:
        """The reply to a call of a known route. Raises RefusalError."""
        return await found.handler(call)

    def call(self, request: web.BaseRequest, body: Body, found: Match) -> Call:
        """A request as handlers see it."""
        return Call(
            method=request.method,
            repository=found.repository,
            reference=found.reference,
            query=request.query,
            headers=request.headers,
            accepts=_accepts(request),
            store=self.store,
            body=body,
        )


def _accepts(request: web.BaseRequest) -> frozenset[str]:
    # One header or several: Go's clients send several.
    parts = ",".join(request.headers.getall("Accept", [])).split(",")
    return frozenset(part.partition(";")[0].strip() for part in parts)
