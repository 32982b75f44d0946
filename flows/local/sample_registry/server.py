"""A small HTTP server on the loopback: one function replies, an interceptor may interfere.

The only file that reads and writes aiohttp's streams.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from flows.local.sample_registry.interceptor import DroppedError, Interceptor
from flows.local.sample_registry.replies import RefusalError, Reply, Slice

Body = Callable[[], AsyncIterator[bytes]]
Respond = Callable[[web.BaseRequest, Body], Awaitable[Reply]]

_UNCHANGED = Interceptor()
_READ_BUFFER = 1024 * 1024


@dataclass
class LoggedExchange:
    """One request and its reply, as the server saw it. Bytes are those of the bodies."""

    server: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    at: datetime
    status: int = 0
    received: int = 0
    sent: int = 0

    @property
    def line(self) -> str:
        """ "METHOD /path" with "?query" where there is one; what interceptors are chosen by."""
        return f"{self.method} {self.path}" + (f"?{self.query}" if self.query else "")

    @classmethod
    def begin(cls, server: str, request: web.BaseRequest) -> LoggedExchange:
        """The exchange that a request opens."""
        return cls(
            server,
            request.method,
            request.rel_url.path,
            request.rel_url.raw_query_string,
            dict(request.headers),
            datetime.now(UTC),
        )


class LoopbackServer:
    """An HTTP server named `name` as an async context manager; port 0 takes a free one.

    `intercept` chooses the interceptor of a request by its line and may be replaced at any time.
    """

    def __init__(
        self,
        name: str,
        respond: Respond,
        *,
        exchanges: list[LoggedExchange] | None = None,
        intercept: Callable[[str], Interceptor | None] = lambda line: None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.name = name
        self.exchanges = exchanges if exchanges is not None else []
        self.intercept = intercept
        self._respond = respond
        self._host = host
        self._port = port
        self._runner: web.ServerRunner | None = None

    @property
    def host(self) -> str:
        """host:port."""
        return f"{self._host}:{self._port}"

    @property
    def url(self) -> str:
        """http://host:port, without a slash at its end."""
        return f"http://{self.host}"

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, access_log=None, read_bufsize=_READ_BUFFER)
        self._runner = web.ServerRunner(server, shutdown_timeout=1)
        await self._runner.setup()
        # The address is the loopback's number whatever the name, so that one port serves it.
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = LoggedExchange.begin(self.name, request)
        self.exchanges.append(exchange)
        interceptor = self.intercept(exchange.line) or _UNCHANGED
        body = partial(_read_body, request, exchange, interceptor)
        try:
            reply = await interceptor.before() or await self._reply(request, body)
            return await _send(request, interceptor.amend(reply), exchange, interceptor)
        except DroppedError as dropped:
            return _cut(request, reset=dropped.reset)
        except (ConnectionError, aiohttp.ClientPayloadError):
            return _cut(request, reset=True)

    async def _reply(self, request: web.BaseRequest, body: Body) -> Reply:
        try:
            return await self._respond(request, body)
        except RefusalError as refusal:
            return refusal.reply()


async def _read_body(
    request: web.BaseRequest, exchange: LoggedExchange, interceptor: Interceptor
) -> AsyncIterator[bytes]:
    """The request's body in pieces, counted and changed by `interceptor`."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async for chunk in request.content.iter_any():
        try:
            passed = await interceptor.received(exchange.received, chunk)
        except DroppedError as dropped:
            exchange.received += len(dropped.last)
            yield dropped.last
            raise
        exchange.received += len(chunk)
        yield passed


async def _send(
    request: web.BaseRequest, reply: Reply, exchange: LoggedExchange, interceptor: Interceptor
) -> web.StreamResponse:
    """Send a reply, changed by `interceptor`, and count its bytes."""
    exchange.status = reply.status
    response = web.StreamResponse(status=reply.status, headers=reply.headers)
    if reply.status != 204:
        response.content_length = reply.length
    await response.prepare(request)
    if request.method != "HEAD":
        for chunk in _pieces(reply.body):
            try:
                passed = await interceptor.sent(exchange.sent, chunk)
            except DroppedError as dropped:
                exchange.sent += len(dropped.last)
                await response.write(dropped.last)
                raise
            exchange.sent += len(passed)
            await response.write(passed)
    await response.write_eof()
    return response


def _cut(request: web.BaseRequest, *, reset: bool) -> web.StreamResponse:
    """Close the connection under the client's feet; `reset` with RST."""
    if request.transport is not None:
        if reset:
            request.transport.abort()
        else:
            request.transport.close()
    return web.Response()


def _pieces(body: bytes | Slice) -> Iterable[bytes]:
    if isinstance(body, Slice):
        return body.blob.chunks(body.start, body.end)
    return [body] if body else []
