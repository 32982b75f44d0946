"""The one boundary to the network: httpx's interface, aiohttp's connections below it.

httpcore's pool falls over past 32 requests at once, aiohttp's does not. Here every request is
counted, and what aiohttp raises is told as the exception of httpx that it really is: a connection
that broke is no timeout.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import aiohttp
import httpx
import yarl
from aiohttp.http_exceptions import HttpProcessingError
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

READ_BYTES: Final = 512 << 10  # a connection buffers twice this before the sender is slowed down
_UNSENT_BYTES: Final = 256 << 10  # what the kernel holds of a body beyond what is on the line
_KEEP_ALIVE: Final = 45.0  # seconds, under the 60 of most load balancers
FRESH: Final = "fresh_connection"  # request extension: a new connection, closed afterwards

# ValueError and RuntimeError: what aiohttp and yarl raise for addresses and header values that
# no server should send.
_BROKEN: Final = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError)


class Wire(httpx.AsyncBaseTransport):
    """Sends requests and counts them in `sent`.

    inner: another transport to send them with (tests); None for real connections.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport | None = None, ca_file: Path | None = None
    ) -> None:
        self.sent = 0
        self._inner = inner
        self._ca_file = ca_file
        self._pools: dict[tuple[bool, bool, str | None], _Pool] = {}
        self._proxies: dict[tuple[str, bytes], str | None] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent += 1
        transport = self._inner or self._pool(request)
        try:
            response = await transport.handle_async_request(request)
        except httpx.HTTPError as error:
            if self._inner is not None:
                raise  # an inner transport's errors are httpx's own already
            raise _told(error, request) from error
        except _BROKEN as error:
            raise _told(error, request) from error
        if isinstance(response.stream, AiohttpResponseStream):
            response.stream = _Body(response.stream, request)
        elif response.is_closed:  # httpx.MockTransport gives answers that were read already
            content = httpx.ByteStream(response.content)
            response = httpx.Response(
                response.status_code, headers=response.headers, stream=content
            )
        return response

    async def connect(self, address: str, count: int, seconds: float) -> None:
        """Open connections to where `address` leads until `count` are there and idle.

        Nothing is sent on them, and nothing is raised where they cannot be had: requests will tell.
        """
        if self._inner is None:
            pool = self._pool(httpx.Request("GET", address))
            with suppress(*_BROKEN):
                await pool.connect(address, count, seconds)

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()
        for pool in self._pools.values():
            await pool.aclose()

    def _pool(self, request: httpx.Request) -> _Pool:
        target = (request.url.scheme, request.url.netloc)
        if target not in self._proxies:
            self._proxies[target] = _proxy_for(request.url)
        key = (request.url.scheme == "https", FRESH in request.extensions, self._proxies[target])
        pool = self._pools.get(key)
        if pool is None:
            tls, fresh, proxy = key
            # Reading the authorities takes longer than many a request: not where there is no TLS.
            trust = _trust(self._ca_file) if tls or (proxy or "").startswith("https") else False
            pool = self._pools[key] = _Pool(
                verify=trust,
                client=functools.partial(_session, fresh, trust),
                proxy=_proxy(proxy) if proxy else None,
            )
        return pool


class _Pool(AiohttpTransport):
    """Connections that are made alike, and may be made before they are needed."""

    async def connect(self, address: str, count: int, seconds: float) -> None:
        if self.proxy is not None:
            return  # what a proxy is asked for belongs to a request
        session = self.client = self.get_client()
        connector = session.connector
        if connector is None:
            return
        loop = asyncio.get_running_loop()
        request = aiohttp.ClientRequest("GET", yarl.URL(address), loop=loop, session=session)
        limits = aiohttp.ClientTimeout(connect=seconds)
        opened = await asyncio.gather(
            *(connector.connect(request, [], limits) for _ in range(count)), return_exceptions=True
        )
        for connection in opened:
            if not isinstance(connection, BaseException):
                connection.release()
        for connection in opened:
            if isinstance(connection, BaseException):
                raise connection


class _Body(httpx.AsyncByteStream):
    """A response's bytes as they come, in pieces as large as they came."""

    def __init__(self, stream: AiohttpResponseStream, request: httpx.Request) -> None:
        self._stream = stream
        self._request = request
        self._response: aiohttp.ClientResponse = stream._aiohttp_response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            content = self._response.content
            while True:
                # As they lie in the buffer: joining them would copy every byte once more.
                piece, _ = await content.readchunk()
                if piece:
                    yield piece
                elif content.at_eof():
                    return
        except _BROKEN as error:
            raise _told(error, self._request) from error

    async def aclose(self) -> None:
        # A body that was not read to its end cannot be followed by another answer.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _session(fresh: bool, trust: ssl.SSLContext | bool) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=0,  # how many at once is the client's business (limits.py)
        force_close=fresh,
        ssl=trust,
        socket_factory=_socket,
        keepalive_timeout=None if fresh else _KEEP_ALIVE,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BYTES,
        max_field_size=64 << 10,  # signed CDN addresses and tokens are long
        max_line_size=64 << 10,
    )


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose buffer does not hide how far a body has come.

    Megabytes that wait in the kernel are lost with the connection and have to be sent again.
    """
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
    return made


@functools.lru_cache(maxsize=16)
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=str(ca_file))
    return context


def _proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the environment names for an address (HTTPS_PROXY, NO_PROXY and so on)."""
    proxies = urllib.request.getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or urllib.request.proxy_bypass(url.netloc.decode("ascii")):
        return None
    return found if "://" in found else f"http://{found}"


def _proxy(address: str) -> httpx.Proxy:
    url = httpx.URL(address)
    if not url.userinfo:
        return httpx.Proxy(url)
    pair = unquote(url.userinfo.decode("ascii")).encode()
    bare = url.copy_with(userinfo=b"")
    basic = f"Basic {b64encode(pair).decode()}"
    return httpx.Proxy(bare, headers={"Proxy-Authorization": basic})


def _words(error: BaseException) -> str:
    """What happened in a few words; aiohttp's own name whole connections and signed addresses."""
    if isinstance(error, ssl.SSLError):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}: {_system_words(error.os_error)}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    if isinstance(error, OSError) and error.errno:
        return _system_words(error)
    if isinstance(error.__cause__, OSError):
        return _words(error.__cause__)
    return f"{type(error).__name__}: {error}".partition(" Connection<")[0][:160]


def _system_words(error: OSError) -> str:
    if error.errno is not None and error.errno > 0:  # resolvers count downwards
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _told(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """What happened, as httpx names it; httpx-aiohttp takes a broken connection for a timeout."""
    root = error.__cause__ if isinstance(error, httpx.HTTPError) and error.__cause__ else error
    text = _words(root)
    if isinstance(root, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(text, request=request)
    if isinstance(root, TimeoutError | httpx.TimeoutException):
        return httpx.ReadTimeout(text, request=request)
    if isinstance(root, aiohttp.ClientConnectorError | httpx.ConnectError | ssl.SSLError):
        return httpx.ConnectError(text, request=request)
    if isinstance(root, aiohttp.ClientResponseError | HttpProcessingError | ValueError):
        return httpx.RemoteProtocolError(text, request=request)
    if isinstance(root, httpx.TransportError):
        return type(root)(text, request=request)
    return httpx.ReadError(text, request=request)
