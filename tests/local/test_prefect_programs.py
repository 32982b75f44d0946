"""Whether a program answers, as the supervisor asks it."""

from __future__ import annotations

import asyncio

import pytest

from flows.local.ports import choose_port
from flows.local.prefect_programs import returns_200


async def answers(reply: bytes) -> bool:
    """What the check says of a server that sends this and closes the connection."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        healthy = await returns_200(f"http://{host}:{port}/api/health")()
    assert asked == [f"GET /api/health HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode()]
    return healthy


@pytest.mark.parametrize(
    ("reply", "healthy"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"x" * 200_000, False),
        (b"", False),
    ],
)
async def test_only_200_is_an_answer(reply: bytes, healthy: bool) -> None:
    assert await answers(reply) is healthy


async def test_nobody_answers_where_nobody_listens() -> None:
    port = choose_port("127.0.0.1", 0, "nobody", "--port")
    assert not await returns_200(f"http://127.0.0.1:{port}/")()
