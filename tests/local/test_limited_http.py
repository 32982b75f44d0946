"""The site's process under attack: half-open requests, endless heads, a flood of nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
from starlette.responses import PlainTextResponse

from flows.local import limited_http
from flows.local.limited_http import BoundedLog, serving
from flows.local.ports import choose_port

MIRROR = Path(sys.executable).with_name("mirror")
DESCRIPTORS = 120
HALF = b"GET / HTTP/1.1\r\nHost: x\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[int, Path, psutil.Process]]:
    """`mirror serve` with 120 descriptors: its port, its log, its process."""
    port = choose_port("127.0.0.1", 0, "the site", "--port")
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<p>the site")
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(MIRROR, "serve", site, "--port", str(port)),
            stdout=log,
            stderr=log,
            preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)
            ),
        )
        try:
            for _ in range(300):
                with contextlib.suppress(httpx.TransportError):
                    if await healthy(port):
                        break
                await asyncio.sleep(0.1)
            yield port, tmp_path / "log", psutil.Process(process.pid)
        finally:
            process.terminate()
            await process.wait()


async def healthy(port: int) -> bool:
    async with httpx.AsyncClient(timeout=60) as client:
        return (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200


async def half_open(port: int) -> Connection:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HALF)
    await writer.drain()
    return reader, writer


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_200_half_open_requests_do_not_keep_a_proper_one_out(
    served: tuple[int, Path, psutil.Process],
) -> None:
    port, log, process = served
    before = log.stat().st_size
    opened = await asyncio.gather(*(half_open(port) for _ in range(200)))
    for _ in range(20):
        assert await healthy(port)
    assert process.num_fds() < DESCRIPTORS
    for _, writer in opened:
        await closed(writer)
    assert await healthy(port)
    assert log.stat().st_size - before < 1_000


async def test_a_flood_of_nonsense_is_refused_and_hardly_logged(
    served: tuple[int, Path, psutil.Process],
) -> None:
    port, log, _ = served
    before = log.stat().st_size
    for nonsense in (b"\x16\x03\x01\x02", b"GET /\x00 HTTP/1.1", b"G" * 20_000) * 100:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(nonsense + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            answer = await reader.read(100)
            assert answer.startswith(b"HTTP/1.1 4") or not answer
        await closed(writer)
    assert await healthy(port)
    assert log.stat().st_size - before < 10_000


async def test_a_head_that_drips_is_cut_off_and_an_idle_connection_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limited_http, "HEADER_SECONDS", 0.3)
    port = choose_port("127.0.0.1", 0, "the site", "--port")
    async with serving(PlainTextResponse("ok"), "127.0.0.1", port):
        dripping, writer = await half_open(port)
        idle, other = await asyncio.open_connection("127.0.0.1", port)

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"X: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        async with asyncio.timeout(90):
            dripped = asyncio.create_task(drip())
            with contextlib.suppress(ConnectionError):
                assert await dripping.read() == b""
            with contextlib.suppress(ConnectionError):
                assert await idle.read() == b""
            await dripped
        await closed(other)


async def test_the_second_head_on_a_connection_has_a_deadline_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limited_http, "HEADER_SECONDS", 0.3)
    port = choose_port("127.0.0.1", 0, "the site", "--port")
    async with serving(PlainTextResponse("ok"), "127.0.0.1", port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HALF + b"\r\n")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.write(HALF)
        async with asyncio.timeout(90):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        await closed(writer)


async def test_a_request_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_http, "REQUEST_SECONDS", 0.3)

    async def endless(scope: object, receive: object, send: object) -> None:
        await asyncio.Event().wait()

    port = choose_port("127.0.0.1", 0, "the site", "--port")
    async with serving(endless, "127.0.0.1", port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HALF + b"\r\n")
        async with asyncio.timeout(90):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        await closed(writer)


def test_a_log_lets_a_bounded_number_of_lines_through() -> None:
    bounded = BoundedLog(most=3)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "wrong", (), None)
    assert sum(bounded.filter(record) for _ in range(1000)) <= 6  # a minute may end meanwhile
