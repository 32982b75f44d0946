"""One request and its response: destinations checked, redirects followed, the body paced.

RFC 9110, 15.4. httpx's client does some of this too, but looks for cookies and parses addresses
again and again: a third of a request's processor time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Final

import httpx

from mirror.registry.http import headers
from mirror.registry.http.destinations import Destinations
from mirror.registry.http.endpoint import Endpoint
from mirror.registry.http.headers import QuotaStatus
from mirror.registry.http.limits import RunBudget
from mirror.registry.http.request import (
    ADDRESS,
    PIECE,
    Request,
    Timeouts,
    host_of,
    in_pieces,
    origin,
    redirect_target,
)
from mirror.registry.http.retries import Clock
from mirror.registry.http.traffic import TRAFFIC, PacedBody
from mirror.registry.http.transport import FRESH, Transport
from mirror.telemetry import measure_request, span, telemetry_on

_LOG: Final = logging.getLogger("mirror.registry")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: Final = 5


@cache
def _headers() -> dict[str, str]:
    """Headers of every request."""
    from importlib.metadata import version  # 10 ms, which commands without requests do not spend

    return {
        "User-Agent": f"hagicode-mirror/{version('hagicode-mirror')}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",  # digests are of the bytes as stored
    }


class Exchange:
    """Sends requests to one registry over its connections.

    `quota` is what the headers last said of the pull quota, None until they do.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        transport: httpx.AsyncBaseTransport | None,
        timeouts: Timeouts,
        clock: Clock,
        budget: RunBudget,
    ) -> None:
        self.transport = Transport(transport, endpoint.ca_file)
        self.destinations = Destinations(endpoint, self.transport.addresses)
        self.quota: QuotaStatus | None = None
        self.base = f"{endpoint.base}/"
        self._timeouts = timeouts
        self._clock = clock
        self._budget = budget
        self._origin = origin(endpoint.base)
        self._default_timeout = self._timeout(timeouts.stall, pool=timeouts.connect)

    def is_own(self, url: str) -> bool:
        """Whether `url` is the registry's, so that it may see our Authorization."""
        return url.startswith(self.base) or origin(url) == self._origin

    async def send(self, request: Request, authorization: str | None) -> httpx.Response:
        """Send a request; redirects of GET and HEAD are followed, up to five.

        Authorization goes to no other origin than the one that it was meant for.
        """
        if not (_LOG.isEnabledFor(logging.DEBUG) or telemetry_on()):
            return await self._followed(request, authorization)
        started, context = self._clock.monotonic(), request.context
        measured: dict[str, str | int] = {
            "http.request.method": request.method,
            "server.address": host_of(request.url),
        }
        about = {**measured, "mirror.request.id": request.id, "mirror.request.doing": context.doing}
        if context.repository:
            about["mirror.repository"] = context.repository
        with span(request.method, about, client=True) as add:
            try:
                response = await self._followed(request, authorization)
                measured["http.response.status_code"] = response.status_code
                return response
            finally:
                seconds = self._clock.monotonic() - started
                add(measured)
                measure_request(seconds, measured)
                address = request.url.partition("?")[0]  # queries may be signed
                what = measured.get("http.response.status_code", "no response")
                about_log = {"request": request.id}
                _LOG.debug(
                    "%s %s: %s, %.3f s", request.method, address, what, seconds, extra=about_log
                )

    async def _followed(self, request: Request, authorization: str | None) -> httpx.Response:
        sent = {**_headers(), **request.headers}
        if authorization is not None:
            sent["Authorization"] = authorization
        content: bytes | AsyncIterator[bytes] | None = request.content
        if isinstance(content, bytes) and len(content) > PIECE:
            sent["Content-Length"] = str(len(content))
            content = in_pieces(content)
        extensions: dict[str, object] = {"timeout": self._default_timeout}
        if request.read_timeout is not None:
            extensions["timeout"] = self._timeout(request.read_timeout)
        if request.fresh_connection:
            extensions[FRESH] = True
        method, address = request.method, request.url
        for left in range(_MOST_REDIRECTS, -1, -1):
            self._budget.request(request.context)
            TRAFFIC.requests += 1
            await self.destinations.check(method, address, request)
            response = await self._sent(method, address, sent, content, extensions)
            response.stream = PacedBody(
                response, self._clock.monotonic, self._budget.limits.least_rate
            )
            response.extensions[ADDRESS] = address
            redirects = response.status_code in _REDIRECTS and "location" in response.headers
            if not redirects or method not in ("GET", "HEAD") or not left:
                break
            await response.aclose()
            following = self._upgraded(redirect_target(response))
            if origin(following) != origin(address):
                sent.pop("Authorization", None)
            address = following
        if "ratelimit-limit" in response.headers:
            self.quota = headers.quota_status(response.headers, self._clock.now()) or self.quota
        return response

    async def _sent(
        self,
        method: str,
        address: str,
        sent: Mapping[str, str],
        content: bytes | AsyncIterator[bytes] | None,
        extensions: Mapping[str, object],
    ) -> httpx.Response:
        """A response, its body unread; of reads in time, however slowly the headers drip in."""
        seconds = self._timeouts.answer if method in ("GET", "HEAD") else None
        try:
            async with asyncio.timeout(seconds):
                return await self.transport.send(method, address, sent, content, extensions)
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no complete headers within {seconds} s") from error

    def _upgraded(self, address: str) -> str:
        """The registry's own address by https where it names itself by http.

        So do registries behind a proxy that ends TLS.
        """
        own, url = httpx.URL(self.base), httpx.URL(address)
        if own.scheme == "https" and url.scheme == "http" and url.host == own.host:
            return str(url.copy_with(scheme="https", port=own.port))
        return address

    def _timeout(self, seconds: float, pool: float | None = None) -> dict[str, float | None]:
        connect = self._timeouts.connect
        return httpx.Timeout(seconds, connect=connect, pool=pool or seconds).as_dict()
