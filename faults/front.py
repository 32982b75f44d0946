"""A front to a registry that misbehaves on demand: a TCP proxy before an HTTP proxy.

Clients talk to `host`. The TCP proxy resets, stalls or garbles connections at a byte; the HTTP
proxy answers storms and lies, asks for tokens, and counts the bytes of uploads. A fault is armed
with how often it may fire, and says how often it did.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

_PIECE = 16 << 10
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset
_SKIPPED = {"transfer-encoding", "connection", "host", "keep-alive", "content-encoding"}

# Reads the request and the registry's answer (status, headers, body); returns another answer, or
# None for the registry's own. `before` faults get no answer: the request is not forwarded.
Answer = tuple[int, dict[str, str], bytes]
Before = Callable[[web.Request], Answer | None]
After = Callable[[web.Request, Answer], Answer | None]


@dataclass
class HttpFault:
    """Acts on requests that match `method path`, at most `times` times."""

    pattern: str
    before: Before | None = None
    after: After | None = None
    times: int = 1
    skip: int = 0
    fired: int = 0
    taken: int = 0  # requests that it may act on, of which some are under way

    def takes(self, request: web.Request) -> bool:
        """Whether it acts on this request; counts what it lets pass first."""
        if self.taken >= self.times or not re.search(
            self.pattern, f"{request.method} {request.path}"
        ):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.taken += 1
        return True

    def spare(self) -> None:
        """It let that request pass after all."""
        self.taken -= 1


@dataclass
class WireFault:
    """Acts on a connection once so many bytes went `up` (to the registry) or `down`."""

    what: str  # reset | stall | garble
    way: str  # up | down
    at: int
    times: int = 1
    seconds: float = 1.0  # of a stall, which then goes on
    fired: int = 0


@dataclass
class Front:
    """The way to one registry."""

    backend: str  # host:port
    login: str | None = None  # Authorization that the token server accepts; None: no tokens
    host: str = ""
    http: list[HttpFault] = field(default_factory=list)
    wire: list[WireFault] = field(default_factory=list)
    uploaded: int = 0  # bytes of blobs that the registry was sent
    upload_rate: float | None = None  # bytes a second for each upload
    requests: int = 0
    epoch: int = 0  # tokens of an earlier one have expired
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _inner: int = 0
    _client: aiohttp.ClientSession | None = None

    def heal(self) -> None:
        """Disarm everything; connections that misbehaved are gone."""
        self.http.clear()
        self.wire.clear()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Forward a request, or misbehave."""
        self.requests += 1
        if self.login is not None and (challenge := self._challenge(request)) is not None:
            return challenge
        fault = next((each for each in self.http if each.takes(request)), None)
        if fault is not None and fault.before is not None:
            made = fault.before(request)
            if made is not None:
                fault.fired += 1
                await request.read()
                return _response(made)
            fault.spare()
        try:
            return await self._forward(request, fault)
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()  # the registry is dead: so is the line
            raise

    async def _forward(self, request: web.Request, fault: HttpFault | None) -> web.StreamResponse:
        assert self._client is not None
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in _SKIPPED and name.lower() != "authorization"
        }
        body = request.content.iter_chunked(_PIECE) if request.can_read_body else None
        upload = "/blobs/uploads/" in request.path and request.method in ("PATCH", "PUT", "POST")

        async def counted() -> AsyncIterator[bytes]:
            assert body is not None
            async for piece in body:
                if upload:
                    self.uploaded += len(piece)
                    if self.upload_rate is not None:
                        await asyncio.sleep(len(piece) / self.upload_rate)
                yield piece

        async with self._client.request(
            request.method,
            f"http://{self.backend}{request.raw_path}",
            headers=headers,
            data=counted() if body is not None else None,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        ) as got:
            kept = {k: v for k, v in got.headers.items() if k.lower() not in _SKIPPED}
            if location := kept.get("Location"):
                kept["Location"] = location.replace(self.backend, self.host)
            if fault is not None and fault.after is not None:
                raw = await got.read()
                made = fault.after(request, (got.status, kept, raw))
                if made is not None:
                    fault.fired += 1
                    return _response(made)
                fault.spare()
                return _response((got.status, kept, raw))
            response = web.StreamResponse(status=got.status, headers=kept)
            await response.prepare(request)
            if request.method != "HEAD":
                async for piece in got.content.iter_chunked(_PIECE):
                    await response.write(piece)
            await response.write_eof()
            return response

    def _challenge(self, request: web.Request) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        if request.path == "/token":
            if given != self.login:
                return web.Response(status=401)
            return web.json_response({"token": f"token-{self.epoch}", "expires_in": 300})
        if given == f"Bearer token-{self.epoch}":
            return None
        realm = f'Bearer realm="http://{self.host}/token",service="front",scope="repository:*:pull"'
        errors = {"errors": [{"code": "UNAUTHORIZED", "message": "token expired"}]}
        return web.Response(
            status=401,
            headers={"WWW-Authenticate": realm},
            text=json.dumps(errors),
            content_type="application/json",
        )

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, in both directions."""
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._inner)
        except OSError:
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer, "up"))
                both.create_task(self._pump(far_reader, writer, "down"))
        except* (ConnectionError, OSError):
            for end in (writer, far_writer):
                _reset(end)
        finally:
            for end in (writer, far_writer):
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str
    ) -> None:
        passed = 0
        while piece := await reader.read(_PIECE):
            for fault in self.wire:
                if fault.way != way or fault.fired >= fault.times:
                    continue
                if not passed <= fault.at < passed + len(piece):
                    continue
                fault.fired += 1
                if fault.what == "reset":
                    raise ConnectionResetError("the line broke")
                if fault.what == "stall":
                    await asyncio.sleep(fault.seconds)
                    raise ConnectionResetError("the line broke after a stall")
                place = fault.at - passed
                piece = piece[:place] + bytes([piece[place] ^ 0x55]) + piece[place + 1 :]
            passed += len(piece)
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


@asynccontextmanager
async def front_of(backend: str, login: str | None = None) -> AsyncIterator[Front]:
    """A front to a registry at `host:port`; the address for clients is its `host`."""
    front = Front(backend, login)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", front.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(front.pass_on(reader, writer))
        front._tasks.add(task)
        task.add_done_callback(front._tasks.discard)

    outer = await asyncio.start_server(begin, "127.0.0.1", 0)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=60),
        auto_decompress=False,
    ) as client:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        front._inner = runner.addresses[0][1]
        front._client = client
        front.host = f"127.0.0.1:{outer.sockets[0].getsockname()[1]}"
        try:
            yield front
        finally:
            outer.close()
            for task in list(front._tasks):
                task.cancel()
            await asyncio.gather(*front._tasks, return_exceptions=True)
            await runner.cleanup()


def _response(made: Answer) -> web.Response:
    status, headers, body = made
    headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
    return web.Response(status=status, headers=headers, body=body)


def _reset(end: asyncio.StreamWriter) -> None:
    found = end.get_extra_info("socket")
    if found is not None:
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.transport.abort()
