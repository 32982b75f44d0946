"""aiohttp's connections to registries, made alike: kept, or of one request each."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import unquote

import aiohttp
import yarl

READ_BYTES: Final = 512 << 10  # a connection buffers twice this before the sender is slowed down
_UNSENT_BYTES: Final = 256 << 10  # what the kernel holds of a body beyond what is on the line
_KEEP_ALIVE: Final = 45.0  # seconds, under the 60 of most load balancers


class Pool:
    """Connections that are made alike, and may be made before they are needed."""

    def __init__(self, fresh: bool, trust: ssl.SSLContext | bool, proxy: str | None) -> None:
        """fresh: a connection for each request. trust: for TLS, False where there is none."""
        self._connector = aiohttp.TCPConnector(
            limit=0,  # how many at once is the client's business (limits.py)
            force_close=fresh,
            ssl=trust,
            socket_factory=_socket,
            keepalive_timeout=None if fresh else _KEEP_ALIVE,
        )
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # digests are of the bytes as sent
            read_bufsize=READ_BYTES,
            max_field_size=64 << 10,  # signed CDN addresses and tokens are long
            max_line_size=64 << 10,
        )
        self._proxy: yarl.URL | None = None
        self._proxy_headers: dict[str, str] | None = None
        if proxy is not None:
            self._proxy, self._proxy_headers = _proxy(proxy)

    async def request(
        self,
        method: str,
        url: yarl.URL,
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None,
        limits: Mapping[str, float | None],
    ) -> aiohttp.ClientResponse:
        """Send a request; the answer's body is unread. Redirects are not followed.

        limits: seconds by httpx's names. Raises what aiohttp raises.
        """
        return await self._session.request(
            method,
            url,
            headers=headers,
            data=content or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                sock_connect=limits.get("connect"),
                sock_read=limits.get("read"),
                connect=limits.get("pool"),
            ),
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
        )

    async def connect(self, url: yarl.URL, count: int, seconds: float) -> None:
        """Open connections until `count` of them are idle. Raises what aiohttp raises."""
        if self._proxy is not None:
            return  # what a proxy is asked for belongs to a request
        loop = asyncio.get_running_loop()
        request = aiohttp.ClientRequest("GET", url, loop=loop, session=self._session)
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

    async def aclose(self) -> None:
        """Close every connection."""
        await self._session.close()


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose buffer does not hide how far a body has come.

    Megabytes that wait in the kernel are lost with the connection and have to be sent again.
    """
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    return made


def _proxy(address: str) -> tuple[yarl.URL, dict[str, str] | None]:
    url = yarl.URL(address)
    if url.raw_user is None:
        return url, None
    pair = f"{unquote(url.raw_user)}:{unquote(url.raw_password or '')}".encode()
    bare = url.with_user(None)
    return bare, {"Proxy-Authorization": f"Basic {b64encode(pair).decode()}"}
