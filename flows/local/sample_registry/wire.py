"""Bodies and answers on the wire: the one place that reads and writes aiohttp's streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiohttp import web

from flows.local.fake_registry.answers import Answer, Slice
from flows.local.fake_registry.faults import DroppedError, Fault


@dataclass
class Exchange:
    """One request and its answer, as the server saw it. Bytes are those of the bodies."""

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
        """ "METHOD /path" with "?query" where there is one; what fault rules match."""
        return f"{self.method} {self.path}" + (f"?{self.query}" if self.query else "")

    @classmethod
    def begin(cls, server: str, request: web.BaseRequest) -> Exchange:
        """The exchange that a request opens."""
        return cls(
            server,
            request.method,
            request.rel_url.path,
            request.rel_url.raw_query_string,
            dict(request.headers),
            datetime.now(UTC),
        )


async def read_body(
    request: web.BaseRequest, exchange: Exchange, fault: Fault
) -> AsyncIterator[bytes]:
    """The request's body in pieces, counted and spoiled by `fault`."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    async for chunk in request.content.iter_any():
        try:
            passed = await fault.received(exchange.received, chunk)
        except DroppedError as dropped:
            exchange.received += len(dropped.last)
            yield dropped.last
            raise
        exchange.received += len(chunk)
        yield passed


async def write_answer(
    request: web.BaseRequest, answer: Answer, exchange: Exchange, fault: Fault
) -> web.StreamResponse:
    """Send an answer, spoiled by `fault`, and count its bytes."""
    answer = fault.amend(answer)
    exchange.status = answer.status
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    if answer.status != 204:
        response.content_length = answer.length
    await response.prepare(request)
    if request.method != "HEAD":
        for chunk in _pieces(answer.body):
            try:
                passed = await fault.sent(exchange.sent, chunk)
            except DroppedError as dropped:
                exchange.sent += len(dropped.last)
                await response.write(dropped.last)
                raise
            exchange.sent += len(passed)
            await response.write(passed)
    await response.write_eof()
    return response


def cut(request: web.BaseRequest, *, reset: bool) -> web.StreamResponse:
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
