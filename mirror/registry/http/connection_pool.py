"""Connections of one kind to a registry: aiohttp's, their sockets, TLS and proxy."""

from __future__ import annotations

import asyncio
import functools
import resource
import socket
import ssl
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import aiohttp
import aiohttp.abc
import httpx
import yarl

_READ_BYTES: Final = 512 << 10  # a connection buffers twice this before the sender is slowed down
_UNSENT_BYTES: Final = 256 << 10  # of a body that the kernel holds beyond what is on the wire
_KEEP_ALIVE: Final = 45.0  # seconds, below the 60 of most load balancers
_QUIET: Final = 15  # seconds of silence until the other end is asked whether it is there
_DEAD: Final = 35  # seconds without its acknowledgement until a connection counts as broken
_DESCRIPTORS: Final = 16384  # far away a mirror may have 256 connections by each of its clients


class ConnectionPool:
    """Connections of one kind, which may be opened before they are needed."""

    def __init__(
        self,
        fresh: bool,
        trust: ssl.SSLContext | bool,
        proxy: str | None,
        resolver: aiohttp.abc.AbstractResolver,
    ) -> None:
        """fresh: a connection per request. trust: for TLS, False where there is none."""
        _allow_descriptors()
        self._connector = aiohttp.TCPConnector(
            limit=0,  # concurrency.py bounds how many there are
            force_close=fresh,
            ssl=trust,
            socket_factory=_socket,
            resolver=resolver,
            keepalive_timeout=None if fresh else _KEEP_ALIVE,
        )
        self.session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # digests are of the bytes as sent
            read_bufsize=_READ_BYTES,
            max_field_size=64 << 10,  # signed CDN addresses and tokens are long
            max_line_size=64 << 10,
        )
        self.proxy: yarl.URL | None = None
        self.proxy_headers: dict[str, str] | None = None
        if proxy is not None:
            self.proxy, self.proxy_headers = _proxy_and_headers(proxy)

    async def connect(self, url: yarl.URL, count: int, seconds: float) -> None:
        """Open connections until `count` of them are idle. Raises what aiohttp raises."""
        if self.proxy is not None:
            return  # what a proxy is sent belongs to a request
        loop = asyncio.get_running_loop()
        request = aiohttp.ClientRequest("GET", url, loop=loop, session=self.session)
        limits = aiohttp.ClientTimeout(connect=seconds)
        opened: list[aiohttp.connector.Connection] = []

        async def open_one() -> None:
            opened.append(await self._connector.connect(request, [], limits))

        try:
            results = await asyncio.gather(
                *(open_one() for _ in range(count)), return_exceptions=True
            )
        finally:  # also where this is cancelled before all are open
            for connection in opened:
                connection.release()
        for result in results:
            if isinstance(result, BaseException):
                raise result


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose send buffer does not hide how much of a body has been transmitted.

    Megabytes that wait in the kernel are lost with the connection and have to be sent again. Where
    the network is gone, the kernel finds out while a registry is waited for: a response may take
    minutes, the acknowledgement of a keepalive does not.
    """
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _QUIET),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", (_DEAD - _QUIET) // 5),
        ("TCP_USER_TIMEOUT", 1000 * _DEAD),
    ):
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    return made


@functools.cache
def _allow_descriptors() -> None:
    """Raise the soft limit on open files, which is 1,024 in many places, as far as the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@functools.lru_cache(maxsize=16)
def trust_of(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=str(ca_file))
    return context


def _proxy_and_headers(address: str) -> tuple[yarl.URL, dict[str, str] | None]:
    url = yarl.URL(address)
    if url.raw_user is None:
        return url, None
    pair = f"{unquote(url.raw_user)}:{unquote(url.raw_password or '')}".encode()
    return url.with_user(None), {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}
