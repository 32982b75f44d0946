"""Connections that break or crawl: a TCP proxy that resets them after so many bytes in either
direction, or forwards only so many per second."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 64 << 10
_HELD = 128 << 10  # bytes on the line: what a break loses before it reaches the client
_ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, as a broken line looks


@dataclass
class BreakingLine:
    """Where the proxy listens, and what it forwarded."""

    host: str = ""
    breaks_after: int | None = None
    rate: float | None = None  # bytes a second to the client, per connection
    connections: int = 0
    up: int = 0  # bytes from clients
    down: int = 0  # bytes to clients
    broken: int = 0  # connections
    most_down: int = 0  # bytes to the client over one connection
    most_at_once: int = 0  # connections that were sending to clients
    _sending: int = 0
    _running: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def breaking_line(
    to: str, breaks_after: int | None = None, rate: float | None = None
) -> AsyncIterator[BreakingLine]:
    """A proxy to `host:port` that resets a connection after `breaks_after` bytes in a direction
    and gives each at most `rate` bytes a second to the client."""
    line = BreakingLine(breaks_after=breaks_after, rate=rate)
    host, _, port = to.rpartition(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(line, reader, far_writer, "up"))
                both.create_task(_pump(line, far_reader, writer, "down"))
        except* (ConnectionError, OSError):
            for end in (writer, far_writer):
                _reset(end)
        finally:
            for end in (writer, far_writer):
                end.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line.connections += 1
        found = writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _HELD)
        task = asyncio.create_task(serve(reader, writer))
        line._running.add(task)
        task.add_done_callback(line._running.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    line.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        server.close()
        for task in list(line._running):
            task.cancel()
        await asyncio.gather(*line._running, return_exceptions=True)


def _reset(end: asyncio.StreamWriter) -> None:
    found = end.get_extra_info("socket")
    if found is not None:
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    end.transport.abort()


async def _pump(
    line: BreakingLine, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str
) -> None:
    passed = 0
    while piece := await reader.read(_PIECE):
        if line.breaks_after is not None and passed + len(piece) > line.breaks_after:
            line.broken += 1
            raise ConnectionResetError("the line broke")
        passed += len(piece)
        setattr(line, way, getattr(line, way) + len(piece))
        writer.write(piece)
        await writer.drain()
        if line.rate is not None and way == "down":
            line.most_down = max(line.most_down, passed)
            line._sending += 1
            line.most_at_once = max(line.most_at_once, line._sending)
            try:
                await asyncio.sleep(len(piece) / line.rate)
            finally:
                line._sending -= 1
    if writer.can_write_eof():
        writer.write_eof()
