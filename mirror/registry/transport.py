"""The one boundary to the network: httpx's interface, aiohttp's connections below it.

httpcore's pool falls over past 32 requests at once, aiohttp's does not. Here every request is
counted, and what aiohttp raises is told as the exception of httpx that it really is: a connection
that broke is no timeout.
"""

from __future__ import annotations

import functools
import os
import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import aiohttp
import httpx
import yarl
from aiohttp.http_exceptions import HttpProcessingError

from mirror.registry.connections import Pool

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
        self._pools: dict[tuple[bool, bool, str | None], Pool] = {}
        self._proxies: dict[str, str | None] = {}

    async def send(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None,
        extensions: Mapping[str, object],
    ) -> httpx.Response:
        """As `handle_async_request`, of a request that need not be made an httpx.Request first.

        Taking its address apart and putting it together again costs as much of the processor as
        sending it. The answer knows no request; `extensions` may hold httpx's timeout, and FRESH.
        """
        if self._inner is not None:
            request = httpx.Request(
                method, address, headers=headers, content=content, extensions=dict(extensions)
            )
            return await self._handed(self._inner, request)
        self.sent += 1
        limits = cast(Mapping[str, float | None], extensions.get("timeout") or {})
        try:
            url = yarl.URL(address)
            response = await self._pool(url, FRESH in extensions).request(
                method, url, headers, content, limits
            )
        except _BROKEN as error:
            raise _told(error) from error
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._inner is not None:
            return await self._handed(self._inner, request)
        headers = dict(request.headers)
        content: bytes | AsyncIterator[bytes]
        try:
            content = request.content
        except httpx.RequestNotRead:
            content = aiter(cast(httpx.AsyncByteStream, request.stream))
            headers.pop("transfer-encoding", None)  # aiohttp's business
        return await self.send(
            request.method, str(request.url), headers, content, request.extensions
        )

    async def _handed(
        self, inner: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> httpx.Response:
        self.sent += 1
        try:
            response = await inner.handle_async_request(request)
        except httpx.HTTPError:
            raise  # an inner transport's errors are httpx's own already
        except _BROKEN as error:
            raise _told(error) from error
        if response.is_closed:  # httpx.MockTransport gives answers that were read already
            stream = httpx.ByteStream(response.content)
            response = httpx.Response(response.status_code, headers=response.headers, stream=stream)
        return response

    async def connect(self, address: str, count: int, seconds: float) -> None:
        """Open connections to where `address` leads until `count` are there and idle.

        Nothing is sent on them, and nothing is raised where they cannot be had: requests will tell.
        """
        if self._inner is None:
            with suppress(*_BROKEN):
                url = yarl.URL(address)
                await self._pool(url, fresh=False).connect(url, count, seconds)

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()
        for pool in self._pools.values():
            await pool.aclose()

    def _pool(self, url: yarl.URL, fresh: bool) -> Pool:
        place = f"{url.scheme}://{url.raw_authority}"
        if place not in self._proxies:
            self._proxies[place] = environment_proxy(url.scheme, url.raw_authority)
        key = (url.scheme == "https", fresh, self._proxies[place])
        pool = self._pools.get(key)
        if pool is None:
            tls, _, proxy = key
            # Reading the authorities takes longer than many a request: not where there is no TLS.
            trust = _trust(self._ca_file) if tls or (proxy or "").startswith("https") else False
            pool = self._pools[key] = Pool(fresh, trust, proxy)
        return pool


class _Body(httpx.AsyncByteStream):
    """A response's bytes as they come, in pieces as large as they came."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

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
            raise _told(error) from error

    async def aclose(self) -> None:
        # A body that was not read to its end cannot be followed by another answer.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


@functools.lru_cache(maxsize=16)
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=str(ca_file))
    return context


def environment_proxy(scheme: str, authority: str) -> str | None:
    """The URL of the proxy that the environment names for `scheme://host[:port]`, or None.

    By HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in upper or lower case.
    """
    proxies = urllib.request.getproxies()
    found = proxies.get(scheme) or proxies.get("all")
    if not found or urllib.request.proxy_bypass(authority):
        return None
    return found if "://" in found else f"http://{found}"


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


def _told(error: Exception) -> httpx.TransportError:
    """What happened, as httpx names it."""
    text = _words(error)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(text)
    if isinstance(error, TimeoutError):
        return httpx.ReadTimeout(text)
    if isinstance(error, aiohttp.ClientConnectorError | ssl.SSLError):
        return httpx.ConnectError(text)
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError | ValueError):
        return httpx.RemoteProtocolError(text)
    return httpx.ReadError(text)
