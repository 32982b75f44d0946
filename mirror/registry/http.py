"""Requests to one registry: counted, authorized, limited, retried, redirects followed.

distribution-spec v1.1, "Authorization"; RFC 9110, 15.4. httpx's client does some of this too, but
looks for cookies and parses addresses again and again: a third of a request's processor time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from typing import Final, Self, TypeVar

import httpx

from mirror.registry import headers
from mirror.registry.auth import Authenticator, repository_scope
from mirror.registry.capabilities import Capabilities
from mirror.registry.concurrency import Concurrency, ConcurrencyLimiter, Window
from mirror.registry.connection_health import ConnectionHealth
from mirror.registry.destinations import Destinations
from mirror.registry.endpoint import Endpoint
from mirror.registry.error_response import response_error, transport_error
from mirror.registry.errors import (
    ProtocolError,
    RegistryError,
    ServerError,
    Throttled,
    TimedOut,
    Unauthorized,
)
from mirror.registry.headers import QuotaStatus
from mirror.registry.known_registries import known_registry
from mirror.registry.least_rate import PacedBody
from mirror.registry.manifest import load_object
from mirror.registry.optional_request import OptionalRequest, means_another_way
from mirror.registry.request import (
    ADDRESS,
    PIECE,
    Request,
    Response,
    Timeouts,
    address_of,
    decoded,
    host_of,
    in_pieces,
    is_cut,
    origin,
    read_body,
    redirect_target,
)
from mirror.registry.retries import Clock, RetryPolicy
from mirror.registry.throughput import Throughput
from mirror.registry.transport import FRESH, Transport

T = TypeVar("T")

_ERROR_BYTES: Final = 64 << 10  # of an error body that is read; the rest says no more
_TOKEN_BYTES: Final = 256 << 10
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


class HttpSession:
    """The connections to one registry and what is known of it. An async context manager.

    auth_from: another session of the same registry, whose tokens this one uses on its separate
    connections. transport: httpx transport to send with, for tests; None for real connections.
    concurrency, retry, timeouts: bounds; the defaults are measured. clock: time and chance.

    `quota` is what the headers last said of the pull quota, None until they do; `capabilities` is
    what the registry turned out to support. `calls` limits requests without a blob body,
    `downloads` and `uploads` blob bodies.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        auth_from: HttpSession | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        concurrency: Concurrency | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.retry = retry or RetryPolicy()
        self.timeouts = timeouts or Timeouts()
        self.clock = clock or Clock()
        self.capabilities = Capabilities.of(known_registry(endpoint.host))
        self.quota: QuotaStatus | None = None
        bounds = concurrency or Concurrency()
        transfers = (bounds.transfers, bounds.transfers, bounds.least, self.clock)
        self.calls = ConcurrencyLimiter(
            bounds.requests, bounds.most_requests, bounds.least, self.clock
        )
        self.downloads = ConcurrencyLimiter(*transfers, adapts=False)
        self.uploads = ConcurrencyLimiter(*transfers, adapts=False)
        self.window = Window(bounds.window)
        self.health = ConnectionHealth()
        self.throughput = Throughput(self.clock)
        self.misdirected: RegistryError | None = None  # once an upload session led elsewhere
        self._attempted: set[str] = set()
        self._own_auth = auth_from is None
        self._auth: Authenticator = (
            auth_from._auth
            if auth_from
            else Authenticator(endpoint, self._fetch_token, self.clock.monotonic)
        )
        self._transport = Transport(transport, endpoint.ca_file)
        self._default_timeout = self._timeout(self.timeouts.stall, pool=self.timeouts.connect)
        self.destinations = Destinations(endpoint, self._transport.addresses)
        self._own = f"{endpoint.base}/"
        self._origin = origin(endpoint.base)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure_of_the_block: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        if self._own_auth:
            await self._auth.aclose()
        await self._transport.aclose()

    @property
    def host(self) -> str:
        """The registry's name as in references."""
        return self.endpoint.host

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, those for tokens, redirects and the web API included."""
        return self._transport.sent

    def credential_origin(self, repository: str) -> str | None:
        """Where the credential used for a repository comes from; None where none was used."""
        return self._auth.origin((repository_scope(repository, "pull"),))

    def authorizes(self, url: str) -> bool:
        """Whether `url` is the registry's own, so that it may see our Authorization."""
        return url.startswith(self._own) or origin(url) == self._origin

    def first_attempt(self, capability: str) -> bool:
        """Whether nothing has tried a capability yet: one attempt is enough for all."""
        first = capability not in self._attempted
        self._attempted.add(capability)
        return first

    async def connect(self, count: int) -> None:
        """Open connections until `count` are idle, for requests that will follow soon.

        Each saves one of them the round trips of connecting. Errors are not raised: the requests
        will meet them too.
        """
        count = min(count, self.calls.width)
        await self._transport.connect(self._own, count, self.timeouts.connect)

    async def call(
        self,
        request: Request,
        expected: Collection[int],
        most: int = 1 << 20,
        check: Callable[[Response], T] | None = None,
    ) -> Response:
        """Send a request without a blob body and read the whole response, retried by the policy.

        most: bytes that the body may have. check: raises where the response cannot be whole; what
        it raises is retried like a broken connection. Raises the error that a status outside
        `expected` amounts to.
        """
        attempts = 0
        while True:
            attempts += 1
            try:
                async with self.calls.slot():
                    response = await self._respond(request, expected, most)
                if check is not None:
                    check(response)
                return response
            except RegistryError as error:
                if request.attempts is not None and attempts >= request.attempts:
                    raise
                await self.back_off(error, attempts)

    async def prefer(
        self,
        way: OptionalRequest,
        optional: Callable[[], Awaitable[T]],
        plain: Callable[[], Awaitable[T]],
    ) -> T:
        """The result of an optional request, or of the plain way behind it.

        What failed is remembered once the plain way has succeeded: where both fail, the fault is
        not the optional request's. Raises what the plain way raises.
        """
        if self.capabilities.refused(way):
            return await plain()
        try:
            return await optional()
        except RegistryError as error:
            refused_login = type(error) is Unauthorized and self._auth.challenged
            if not means_another_way(way, error) or (
                refused_login and way is OptionalRequest.PAGE_SIZE  # no page size needs less
            ):
                raise
            failed = error
        result = await plain()
        self.capabilities.remember(way, failed, self.clock.now())
        return result

    async def retrying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run `attempt` until it succeeds, fails for good, or the retry policy ends it."""
        attempts = 0
        while True:
            attempts += 1
            try:
                return await attempt()
            except RegistryError as error:
                await self.back_off(error, attempts)

    async def back_off(self, error: RegistryError, attempts: int) -> None:
        """Wait before the next attempt after `attempts`; raises the error where there is none."""
        wait = self.wait_after(error, attempts)
        if wait is None:
            raise error
        await self.clock.sleep(wait)

    def wait_after(self, error: RegistryError, attempts: int) -> float | None:
        """Seconds until the next attempt after `attempts` of them, None for no further one."""
        if not error.transient:
            return None
        if isinstance(error, Throttled | ServerError | TimedOut):
            for limiter in (self.calls, self.downloads, self.uploads):
                limiter.shrink()
        if isinstance(error, Throttled) and error.retry_after:
            self.calls.pause(min(error.retry_after, self.retry.patience))
        return self.retry.wait(attempts, error.retry_after, self.clock.random())

    @asynccontextmanager
    async def open(
        self, request: Request, expected: Collection[int]
    ) -> AsyncIterator[httpx.Response]:
        """One attempt of a request; the response's body is unread. Raises as `call`."""
        try:
            response = await self._authorized(request)
            try:
                if response.status_code not in expected:
                    raise await self._refusal(response, request)
                yield response
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise transport_error(error, request) from error

    async def _respond(self, request: Request, expected: Collection[int], most: int) -> Response:
        """One attempt of a request with its whole response, of `most` bytes at most."""
        try:
            async with asyncio.timeout(min(self.timeouts.answer, request.answer_in)):
                response = await self._authorized(request)
                try:
                    if response.status_code not in expected:
                        raise await self._refusal(response, request)
                    body = b""
                    if request.method != "HEAD":
                        body = await read_body(response, most, request)
                        body = self._decoded(body, response, request, most)
                    return Response(
                        response.status_code, response.headers, body, address_of(response)
                    )
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise transport_error(error, request) from error

    def _decoded(self, body: bytes, response: httpx.Response, request: Request, most: int) -> bytes:
        encoding = response.headers.get("content-encoding")
        if not encoding or request.as_stored:
            return body
        try:
            return decoded(body, encoding, most)
        except ValueError as error:
            context = request.context
            raise context.error(
                ProtocolError,
                f"unreadable response while {context.doing}: {error}",
                status=response.status_code,
                transient="cut or broken" in str(error),
            ) from None

    async def _authorized(self, request: Request, *, first: bool = False) -> httpx.Response:
        """Send a request with its token; a 401 is answered once with a fresh one."""
        if not request.authorize:
            return await self._followed(request, None)
        if not (self._auth.scouted or first):
            return await self._scouting(request)
        own = self.authorizes(request.url)
        authorization = await self._auth.header(request.scopes) if own else None
        response = await self._followed(request, authorization)
        if authorization is None and own and response.status_code in (401, 403, 404):
            found = await self._logged_in(request, response)
            if found is not None:
                return found
        if response.status_code != 401 or not own or not request.replayable:
            return response
        if not self.authorizes(address_of(response)):
            return response  # another host's refusal is not a challenge of the registry
        try:
            challenges = response.headers.get_list("www-authenticate")
            renewed = await self._auth.renewed(
                challenges, request.scopes, authorization, address_of(response)
            )
            if renewed is None:
                return response
        except BaseException:
            await response.aclose()
            raise
        await response.aclose()
        return await self._followed(request, renewed)

    async def _logged_in(self, request: Request, refused: httpx.Response) -> httpx.Response | None:
        """The response to a request that was refused without a challenge, sent with a login.

        None where that changes nothing: a challenge came with the refusal, no credential is
        configured, or /v2/ asks for none. /v2/ is asked once.
        """
        if (refused.status_code == 401 and "www-authenticate" in refused.headers) or (
            not request.replayable or not await self._auth.may_be_hidden(request.scopes)
        ):
            return None
        async with self._auth.asking:
            if not self._auth.asked:
                self._auth.asked = True
                context = replace(request.context, doing="checking the API version")
                ping = Request("GET", f"{self.endpoint.base}/v2/", context)
                response = await self._followed(ping, None)
                self._auth.hidden_by = response.headers.get_list("www-authenticate")
                self._auth.hidden_at = address_of(response)
                await response.aclose()
        if not self._auth.hidden_by:
            return None
        renewed = await self._auth.renewed(
            self._auth.hidden_by, request.scopes, None, self._auth.hidden_at
        )
        if renewed is None:
            return None
        await refused.aclose()
        return await self._followed(request, renewed)

    async def _scouting(self, request: Request) -> httpx.Response:
        # The first request finds out which authorization the registry wants; the others wait for
        # it, so that 200 concurrent ones do not collect 200 refusals.
        async with self._auth.scouting:
            if not self._auth.scouted:
                try:
                    return await self._authorized(request, first=True)
                finally:
                    self._auth.scouted = True
        return await self._authorized(request)

    async def _followed(self, request: Request, authorization: str | None) -> httpx.Response:
        """Send a request; redirects of GET and HEAD are followed, up to five.

        Authorization goes to no other origin than the one that it was meant for.
        """
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
            await self.destinations.check(method, address, request)
            response = await self._sent(method, address, sent, content, extensions)
            response.stream = PacedBody(response, self.clock.monotonic)
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
            self.quota = headers.quota_status(response.headers, self.clock.now()) or self.quota
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
        seconds = self.timeouts.answer if method in ("GET", "HEAD") else None
        try:
            async with asyncio.timeout(seconds):
                return await self._transport.send(method, address, sent, content, extensions)
        except TimeoutError as error:
            raise httpx.ReadTimeout(f"no complete headers within {seconds} s") from error

    def _upgraded(self, address: str) -> str:
        """The registry's own address by https where it names itself by http.

        So do registries behind a proxy that ends TLS.
        """
        own, url = httpx.URL(self._own), httpx.URL(address)
        if own.scheme == "https" and url.scheme == "http" and url.host == own.host:
            return str(url.copy_with(scheme="https", port=own.port))
        return address

    def _timeout(self, seconds: float, pool: float | None = None) -> dict[str, float | None]:
        connect = self.timeouts.connect
        return httpx.Timeout(seconds, connect=connect, pool=pool or seconds).as_dict()

    async def _refusal(self, response: httpx.Response, request: Request) -> RegistryError:
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) >= _ERROR_BYTES:
                break
        if encoding := response.headers.get("content-encoding"):
            try:
                body = bytearray(decoded(bytes(body), encoding, _ERROR_BYTES))
            except ValueError:
                body.clear()
        wait = headers.retry_after(response.headers.get("retry-after"), self.clock.now())
        context = request.context
        context = replace(context, origin=context.origin or self._auth.origin(request.scopes))
        answered = host_of(address_of(response))
        by = "" if answered == host_of(self._own) else answered
        error = response_error(response, bytes(body[:_ERROR_BYTES]), context, wait, by)
        error.body = bytes(body[:_ERROR_BYTES])
        return error

    async def _fetch_token(self, request: Request) -> bytes:
        # Without a slot of `calls`: the request that waits for the token may hold the last one.
        async def once() -> bytes:
            body = (await self._respond(request, (200,), _TOKEN_BYTES)).body
            try:
                load_object(body, "")
            except RegistryError:
                raise request.context.error(
                    ProtocolError,
                    f"the token service {request.url.partition('?')[0]} returned"
                    f" {len(body)} bytes that are no JSON object",  # not quoted: may hold a token
                    transient=is_cut(body),
                ) from None
            return body

        return await self.retrying(once)
