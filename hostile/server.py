"""A server before a registry in memory, which may answer in its place, at any length and pace."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

_SKIPPED = {"transfer-encoding", "connection", "host", "keep-alive", "content-encoding"}


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        """The first of that name; empty without one."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), "")


Instead = Callable[[web.BaseRequest], Awaitable[web.StreamResponse | None]]
Spoil = Callable[[web.BaseRequest, Answer], Awaitable[Answer | web.StreamResponse | None]]


@dataclass
class Server:
    """`instead` may answer without the registry, `spoil` change what it answered."""

    backend: str  # host:port
    instead: Instead | None = None
    spoil: Spoil | None = None
    host: str = ""
    requests: int = 0
    _client: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        self.requests += 1
        if self.instead is not None and (made := await self.instead(request)) is not None:
            return made
        answer = await self._forward(request)
        if self.spoil is not None and (spoilt := await self.spoil(request, answer)) is not None:
            if isinstance(spoilt, web.StreamResponse):
                return spoilt
            answer = spoilt
        return await whole(request, answer)

    async def _forward(self, request: web.BaseRequest) -> Answer:
        assert self._client is not None
        async with self._client.request(
            request.method,
            f"http://{self.backend}{request.raw_path}",
            headers={k: v for k, v in request.headers.items() if k.lower() not in _SKIPPED},
            data=io.BytesIO(b"".join([piece async for piece in request.content.iter_any()])),
            allow_redirects=False,
        ) as got:
            kept = [(k, v) for k, v in got.headers.items() if k.lower() not in _SKIPPED]
            moved = tuple((k, v.replace(self.backend, self.host)) for k, v in kept)
            return Answer(got.status, moved, await got.read())


async def whole(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    """Send an answer as it is, whatever its headers say."""
    response = web.StreamResponse(status=answer.status)
    for name, value in answer.headers:
        response.headers.add(name, value)
    if request.method != "HEAD" and "Content-Length" not in response.headers:
        response.content_length = len(answer.body)
    await response.prepare(request)
    if request.method != "HEAD":
        await response.write(answer.body)
    return response


async def stream(
    request: web.BaseRequest, pieces: AsyncIterator[bytes], *, status: int = 200, **headers: str
) -> web.StreamResponse:
    """Send pieces as they come; header names have _ for -."""
    response = web.StreamResponse(status=status)
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    await response.prepare(request)
    async for piece in pieces:
        await response.write(piece)
    return response


@asynccontextmanager
async def server_before(backend: str) -> AsyncIterator[Server]:
    """A server before the registry at `host:port`, on a free port of the loopback."""
    server = Server(backend)
    runner = web.ServerRunner(web.Server(server.answer), shutdown_timeout=0.1)
    await runner.setup()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
    ) as client:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server._client = client
        server.host = f"127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield server
        finally:
            await runner.cleanup()
