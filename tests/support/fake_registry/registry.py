"""The registry that tests use: the sample registry with what other registries do differently.

    async with FakeRegistry(quirks.AZURE) as registry:
        registry.faults.add(Rule("PUT ", Respond(503)))

`behaviour` turns on what other registries do differently, `faults` is a table of what goes wrong
when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web

from flows.local.sample_registry import blobs, listings, manifests, uploads
from flows.local.sample_registry.call import Call
from flows.local.sample_registry.registry import SampleRegistry
from flows.local.sample_registry.replies import RefusalError, Reply
from flows.local.sample_registry.routes import Handler, Match, match
from flows.local.sample_registry.server import Body, LoopbackServer
from flows.local.sample_registry.store import Store
from tests.support.fake_registry import (
    manifests as fake_manifests,
    reads as fake_reads,
    uploads as fake_uploads,
)
from tests.support.fake_registry.access import Access
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.call import FakeCall
from tests.support.fake_registry.faults import Faults, Rule
from tests.support.fake_registry.limits import Pulls, Throttling
from tests.support.fake_registry.store import SpoolingStore

_HANDLERS: Mapping[Handler, Callable[[FakeCall], Awaitable[Reply]]] = {
    blobs.get_blob: fake_reads.get_blob,
    listings.list_tags: fake_reads.list_tags,
    listings.list_repositories: fake_reads.list_repositories,
    listings.list_referrers: fake_reads.list_referrers,
    manifests.get_manifest: fake_manifests.get_manifest,
    manifests.put_manifest: fake_manifests.put_manifest,
    manifests.delete_manifest: fake_manifests.delete_manifest,
    uploads.start_upload: fake_uploads.start_upload,
    uploads.patch_upload: fake_uploads.patch_upload,
    uploads.put_upload: fake_uploads.put_upload,
    uploads.get_upload: fake_uploads.get_upload,
}


class FakeRegistry(SampleRegistry):
    """An in-memory registry as an async context manager.

    `port` 0 takes a free one. `store` may be shared with another registry or outlive this one;
    without one, large blobs are files that go with the registry. `behaviour` and `pulls` may be
    replaced while it runs.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        faults: tuple[Rule, ...] = (),
        store: Store | None = None,
        port: int = 0,
    ) -> None:
        self._spool = SpoolingStore() if store is None else None
        super().__init__(store=store or self._spool, port=port)
        self.behaviour = behaviour or Behaviour()
        self.faults = Faults(faults)
        self.access = Access(self.behaviour.auth)
        self.pulls = Pulls(self.behaviour.quota) if self.behaviour.quota else None
        self._throttling = Throttling(throttle) if (throttle := self.behaviour.throttle) else None
        self._short_chunks: set[str] = set()
        self.server.intercept = self.faults.find
        # Another host by name, so that a client's rule "never across hosts" is put to the test.
        other = partial(
            LoopbackServer,
            exchanges=self.exchanges,
            intercept=self.faults.find,
            host="localhost",
        )
        self.cdn = other("cdn", self._respond_as_cdn)
        self.token_server = other("auth", self._respond_with_token)
        self._servers = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self.behaviour.cdn:
            await self._servers.enter_async_context(self.cdn)
        if self.behaviour.auth.own_host:
            await self._servers.enter_async_context(self.token_server)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._servers.aclose()
        await super().__aexit__(kind, error, traceback)
        if self._spool is not None:
            self._spool.close()

    async def respond(self, request: web.BaseRequest, body: Body) -> Reply:
        """The reply to a request. Raises RefusalError."""
        if self.behaviour.latency:
            await asyncio.sleep(self.behaviour.latency)
        auth = self.behaviour.auth
        if request.path == auth.token_path and not auth.own_host:
            return await self._token(request, body)
        if self._throttling is not None:
            self._throttling.check(request.method)
        return await super().respond(request, body)

    async def handle(self, found: Match, call: Call) -> Reply:
        """The reply to a call of a known route, where the caller may make it."""
        self.access.check(call.headers, found.repository, found.action, self._realm)
        self._check_repository(found.repository)
        try:
            reply = await self._counted(found, self._fake(call))
        except RefusalError as refusal:
            refusal.headers = self._located(refusal.headers)
            raise
        return replace(reply, headers=self._located(reply.headers))

    async def _counted(self, found: Match, call: FakeCall) -> Reply:
        handler = _HANDLERS.get(found.handler, found.handler)
        if found.handler is not manifests.get_manifest or self.pulls is None:
            return await handler(call)
        user = self.access.user(call.headers)
        self.pulls.count(call.method, user)
        reply = await handler(call)
        return replace(reply, headers={**reply.headers, **self.pulls.headers(user)})

    def _fake(self, call: Call) -> FakeCall:
        fields: dict[str, Any] = vars(call)
        return FakeCall(
            **fields,
            behaviour=self.behaviour,
            cdn=self.cdn.url if self.behaviour.cdn else None,
            may_pull=lambda name: self.access.allows(call.headers, name, "pull"),
            short_chunks=self._short_chunks,
        )

    def _located(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers with Location as the registry gives it: relative, or with scheme and host."""
        located = dict(headers)
        if not self.behaviour.relative_location and located.get("Location", "").startswith("/"):
            located["Location"] = f"{self.url}{located['Location']}"
        return located

    @property
    def _realm(self) -> str:
        server = self.token_server if self.behaviour.auth.own_host else self.server
        return f"{server.url}{self.behaviour.auth.token_path}"

    async def _respond_with_token(self, request: web.BaseRequest, body: Body) -> Reply:
        if request.path != self.behaviour.auth.token_path:
            raise RefusalError(404, "NOT_FOUND", f"{request.path} is not the token server's path")
        return await self._token(request, body)

    async def _respond_as_cdn(self, request: web.BaseRequest, body: Body) -> Reply:
        found = match(request.method, request.path)
        if found.handler is not blobs.get_blob or "signature" not in request.query:
            raise RefusalError(403, "DENIED", "the address is not signed")
        call = self._fake(self.call(request, body, found))
        return await fake_reads.get_blob(replace(call, cdn=None))

    async def _token(self, request: web.BaseRequest, body: Body) -> Reply:
        query: Mapping[str, str] = request.query
        scopes = request.query.getall("scope", [])
        if request.method == "POST":
            sent = b"".join([chunk async for chunk in body()]).decode()
            query = dict(parse_qsl(sent))
            scopes = [value for name, value in parse_qsl(sent) if name == "scope"]
        every = [part for scope in scopes for part in scope.split()]
        return await self.access.token(request.method, query, every, request.headers)

    def _check_repository(self, name: str) -> None:
        if not name:
            return
        levels = self.behaviour.levels
        if levels is not None and name.count("/") + 1 > levels:
            raise RefusalError(400, "NAME_INVALID", f"{name}: more than {levels} levels")
        namespaces = self.behaviour.namespaces
        if namespaces is not None and name.partition("/")[0] not in namespaces:
            raise RefusalError(403, "DENIED", "requested access to the resource is denied")
