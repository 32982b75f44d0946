"""The boundary to the network: httpx's interface above, aiohttp's connections below.

httpcore's pool collapses beyond 32 concurrent requests, aiohttp's does not. Every request is
counted here, and aiohttp's exceptions are raised as those of httpx that they amount to: a broken
connection is not a timeout.
"""

from __future__ import annotations

import os
import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import aiohttp
import aiohttp.abc
import httpx
import yarl
from aiohttp.http_exceptions import HttpProcessingError

from mirror.outside_text import one_line
from mirror.registry.http.connection_pool import ConnectionPool, trust_of
from mirror.registry.http.host_names import CheckedResolver

FRESH: Final = "fresh_connection"  # request extension: a new connection, closed afterwards

# ValueError and RuntimeError: what aiohttp and yarl raise for addresses and header values that
# no server should send.
_BROKEN: Final = (aiohttp.ClientError, HttpProcessingError, OSError, ValueError, RuntimeError)


class Transport(httpx.AsyncBaseTransport):
    """Sends requests and counts them in `sent`.

    inner: another transport to send them with (tests); None for real connections.
    """

    def __init__(
        self, inner: httpx.AsyncBaseTransport | None = None, ca_file: Path | None = None
    ) -> None:
        self.sent = 0
        self._inner = inner
        self._ca_file = ca_file
        self._resolver: CheckedResolver | None = None
        self._pools: dict[tuple[bool, bool, str | None], ConnectionPool] = {}
        self._proxies: dict[str, str | None] = {}

    async def send(
        self,
        method: str,
        address: str,
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None,
        extensions: Mapping[str, object],
    ) -> httpx.Response:
        """Send a request; the response's body is unread, redirects are not followed.

        As `handle_async_request`, without an httpx.Request: parsing its address and formatting it
        again costs as much processor time as sending it. `extensions` may hold httpx's timeout,
        and FRESH. Raises httpx.TransportError.
        """
        if self._inner is not None:
            request = httpx.Request(
                method, address, headers=headers, content=content, extensions=dict(extensions)
            )
            return await self._send_by_inner(self._inner, request)
        self.sent += 1
        limits = cast(Mapping[str, float | None], extensions.get("timeout") or {})
        try:
            url = yarl.URL(address)
            pool = self._pool(url, FRESH in extensions)
            response = await pool.session.request(
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
                proxy=pool.proxy,
                proxy_headers=pool.proxy_headers,
            )
        except _BROKEN as error:
            raise _translated(error) from error
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._inner is not None:
            return await self._send_by_inner(self._inner, request)
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

    async def _send_by_inner(
        self, inner: httpx.AsyncBaseTransport, request: httpx.Request
    ) -> httpx.Response:
        self.sent += 1
        try:
            response = await inner.handle_async_request(request)
        except httpx.HTTPError:
            raise  # an inner transport's errors are httpx's own already
        except _BROKEN as error:
            raise _translated(error) from error
        if response.is_closed:  # httpx.MockTransport returns responses that were read already
            stream = httpx.ByteStream(response.content)
            response = httpx.Response(response.status_code, headers=response.headers, stream=stream)
        return response

    async def addresses(self, url: httpx.URL) -> tuple[str, ...]:
        """The addresses of a URL's host; connections for it are made to these from now on.

        None for a transport of tests, and where a proxy resolves the host. Raises
        httpx.ConnectError.
        """
        if self._inner is not None or self._proxy(url.scheme, url.netloc.decode("ascii")):
            return ()
        try:
            return await self._names().addresses(url.raw_host.decode("ascii").strip("[]"))
        except OSError as error:
            words = _system_words(error)
            raise httpx.ConnectError(f"cannot connect to {url.host}: {words}") from error

    async def connect(self, address: str, count: int, seconds: float) -> None:
        """Open connections to where `address` leads until `count` of them are idle.

        Nothing is sent on them, and no error is raised: requests will meet it too.
        """
        if self._inner is None:
            with suppress(*_BROKEN):
                url = yarl.URL(address)
                await self._pool(url, fresh=False).connect(url, count, seconds)

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()
        for pool in self._pools.values():
            await pool.session.close()

    def _pool(self, url: yarl.URL, fresh: bool) -> ConnectionPool:
        key = (url.scheme == "https", fresh, self._proxy(url.scheme, url.raw_authority))
        pool = self._pools.get(key)
        if pool is None:
            tls, _, proxy = key
            # Reading the authorities takes longer than many a request: not where there is no TLS.
            trust = trust_of(self._ca_file) if tls or (proxy or "").startswith("https") else False
            pool = self._pools[key] = ConnectionPool(fresh, trust, proxy, self._names())
        return pool

    def _proxy(self, scheme: str, authority: str) -> str | None:
        place = f"{scheme}://{authority}"
        if place not in self._proxies:
            self._proxies[place] = environment_proxy(scheme, authority)
        return self._proxies[place]

    def _names(self) -> CheckedResolver:
        self._resolver = self._resolver or CheckedResolver()
        return self._resolver


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
            raise _translated(error) from error

    async def aclose(self) -> None:
        # A connection whose body was not read to its end cannot be used for another request.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


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
    if isinstance(error, aiohttp.ClientResponseError):
        return one_line(error.message, 160)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    if isinstance(error, OSError) and error.errno:
        return _system_words(error)
    if isinstance(error.__cause__, OSError):
        return _words(error.__cause__)
    return one_line(f"{type(error).__name__}: {error}".partition(" Connection<")[0], 160)


def _system_words(error: OSError) -> str:
    if error.errno is not None and error.errno > 0:  # resolvers count downwards
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _translated(error: Exception) -> httpx.TransportError:
    """The error as an exception of httpx."""
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
