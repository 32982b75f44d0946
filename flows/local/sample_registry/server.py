"""A small HTTP server on the loopback: one function answers, faults spoil, exchanges are kept."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from flows.local.fake_registry.answers import Answer, RefusalError
from flows.local.fake_registry.faults import DroppedError, Fault, Faults
from flows.local.fake_registry.wire import Exchange, cut, read_body, write_answer

Body = Callable[[], AsyncIterator[bytes]]
Answering = Callable[[web.BaseRequest, Body], Awaitable[Answer]]

_CLEAN = Fault()
_READ_BUFFER = 1024 * 1024


class Server:
    """An HTTP server named `name` as an async context manager; port 0 takes a free one."""

    def __init__(
        self,
        name: str,
        answering: Answering,
        *,
        faults: Faults | None = None,
        exchanges: list[Exchange] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.faults = faults if faults is not None else Faults()
        self.exchanges = exchanges if exchanges is not None else []
        self._answering = answering
        self._host = host
        self._port = port
        self._tls = tls
        self._runner: web.ServerRunner | None = None

    @property
    def host(self) -> str:
        """host:port."""
        return f"{self._host}:{self._port}"

    @property
    def url(self) -> str:
        """scheme://host:port, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://{self.host}"

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, access_log=None, read_bufsize=_READ_BUFFER)
        self._runner = web.ServerRunner(server, shutdown_timeout=1)
        await self._runner.setup()
        # The address is the loopback's number whatever the name, so that one port serves it.
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls)
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
        exchange = Exchange.begin(self.name, request)
        self.exchanges.append(exchange)
        fault = self.faults.find(exchange.line) or _CLEAN
        try:
            answer = await self._answer(
                request, partial(read_body, request, exchange, fault), fault
            )
            return await write_answer(request, answer, exchange, fault)
        except DroppedError as dropped:
            return cut(request, reset=dropped.reset)
        except (ConnectionError, aiohttp.ClientPayloadError):
            return cut(request, reset=True)

    async def _answer(self, request: web.BaseRequest, body: Body, fault: Fault) -> Answer:
        scripted = await fault.before()
        if scripted is not None:
            return scripted
        try:
            return await self._answering(request, body)
        except RefusalError as refusal:
            return refusal.answer()
