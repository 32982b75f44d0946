"""An OCI registry in memory: distribution-spec v1.1 on a free port of the loopback.

    async with DemoRegistry() as registry:
        registry.host                      # "127.0.0.1:40123"
        registry.store.repositories        # what it holds
        registry.exchanges                 # every request that came, with bytes and headers

It stands in for a registry in `mirror demo` and in tests of faults: `behaviour` turns on what
other registries do differently, `faults` is a table of what goes wrong when.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl

from aiohttp import web

from flows.local.fake_registry.access import Access
from flows.local.fake_registry.answers import Answer, RefusalError
from flows.local.fake_registry.behaviour import Behaviour
from flows.local.fake_registry.blobs import get_blob
from flows.local.fake_registry.call import Call
from flows.local.fake_registry.faults import Faults, Rule
from flows.local.fake_registry.limits import Pulls, Throttling
from flows.local.fake_registry.manifests import get_manifest
from flows.local.fake_registry.routes import Match, match
from flows.local.fake_registry.server import Body, Server
from flows.local.fake_registry.store import Store
from flows.local.fake_registry.wire import Exchange

_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}


class DemoRegistry:
    """An in-memory registry as an async context manager.

    `port` 0 takes a free one. `store` may be shared with another registry or outlive this one.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        faults: tuple[Rule, ...] = (),
        store: Store | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.faults = Faults(faults)
        self.exchanges: list[Exchange] = []
        self.store = store or Store()
        self.access = Access(self.behaviour.auth)
        self.pulls = Pulls(self.behaviour.quota) if self.behaviour.quota else None
        self._own_store = store is None
        self._throttling = Throttling(throttle) if (throttle := self.behaviour.throttle) else None
        server = partial(Server, faults=self.faults, exchanges=self.exchanges)
        self.server = server("registry", self._answer, port=port, tls=tls)
        # Another host by name, so that a client's rule "never across hosts" is put to the test.
        self.cdn = server("cdn", self._answer_cdn, host="localhost")
        self.token_server = server("auth", self._answer_token, host="localhost")
        self._stack = AsyncExitStack()

    @property
    def host(self) -> str:
        """host:port of the registry."""
        return self.server.host

    @property
    def url(self) -> str:
        """The registry's base address, without a slash at its end."""
        return self.server.url

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.server)
        if self.behaviour.cdn:
            await self._stack.enter_async_context(self.cdn)
        if self.behaviour.auth.own_host:
            await self._stack.enter_async_context(self.token_server)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
        if self._own_store:
            self.store.close()

    async def _answer(self, request: web.BaseRequest, body: Body) -> Answer:
        if self.behaviour.latency:
            await asyncio.sleep(self.behaviour.latency)
        auth = self.behaviour.auth
        if request.path == auth.token_path and not auth.own_host:
            return await self._token(request, body)
        if self._throttling is not None:
            self._throttling.check(request.method)
        found = match(request.method, request.path)
        self.access.check(request.headers, found.repository, found.action, self._realm)
        self._check_repository(found.repository)
        call = self._call(request, body, found)
        if found.handler is get_manifest and self.pulls is not None:
            user = self.access.user(request.headers)
            self.pulls.count(request.method, user)
            answer = await found.handler(call)
            return replace(answer, headers={**answer.headers, **self.pulls.headers(user)})
        answer = await found.handler(call)
        return replace(answer, headers={**_VERSION, **answer.headers})

    @property
    def _realm(self) -> str:
        auth = self.behaviour.auth
        server = self.token_server if auth.own_host else self.server
        return auth.realm or f"{server.url}{auth.token_path}"

    async def _answer_token(self, request: web.BaseRequest, body: Body) -> Answer:
        if request.path != self.behaviour.auth.token_path:
            raise RefusalError(404, "NOT_FOUND", f"{request.path} is not the token server's path")
        return await self._token(request, body)

    async def _answer_cdn(self, request: web.BaseRequest, body: Body) -> Answer:
        found = match(request.method, request.path)
        if found.handler is not get_blob or "signature" not in request.query:
            raise RefusalError(403, "DENIED", "the address is not signed")
        return await get_blob(replace(self._call(request, body, found), cdn=None))

    async def _token(self, request: web.BaseRequest, body: Body) -> Answer:
        query: Mapping[str, str] = request.query
        scopes = request.query.getall("scope", [])
        if request.method == "POST":
            sent = b"".join([chunk async for chunk in body()]).decode()
            query = dict(parse_qsl(sent))
            scopes = [value for name, value in parse_qsl(sent) if name == "scope"]
        every = [part for scope in scopes for part in scope.split()]
        return await self.access.token(request.method, query, every, request.headers)

    def _call(self, request: web.BaseRequest, body: Body, found: Match) -> Call:
        return Call(
            method=request.method,
            repository=found.repository,
            reference=found.reference,
            query=request.query,
            headers=request.headers,
            accepts=_accepts(request),
            store=self.store,
            behaviour=self.behaviour,
            origin=self.url,
            cdn=self.cdn.url if self.behaviour.cdn else None,
            may_pull=lambda name: self.access.allows(request.headers, name, "pull"),
            body=body,
        )

    def _check_repository(self, name: str) -> None:
        if not name:
            return
        levels = self.behaviour.levels
        if levels is not None and name.count("/") + 1 > levels:
            raise RefusalError(400, "NAME_INVALID", f"{name}: more than {levels} levels")
        namespaces = self.behaviour.namespaces
        if namespaces is not None and name.partition("/")[0] not in namespaces:
            raise RefusalError(403, "DENIED", "requested access to the resource is denied")


def _accepts(request: web.BaseRequest) -> frozenset[str]:
    # One header or several: Go's clients send several.
    parts = ",".join(request.headers.getall("Accept", [])).split(",")
    return frozenset(part.partition(";")[0].strip() for part in parts)
