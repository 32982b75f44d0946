"""Requests to one registry: limited, retried, their responses read and judged."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, Self, TypeVar

import httpx

from mirror.registry.http import headers
from mirror.registry.http.auth import Authenticator, repository_scope
from mirror.registry.http.authorized_exchange import AuthorizedExchange
from mirror.registry.http.capabilities import Capabilities
from mirror.registry.http.concurrency import Concurrency
from mirror.registry.http.connection_health import ConnectionHealth
from mirror.registry.http.destinations import Destinations
from mirror.registry.http.endpoint import Endpoint
from mirror.registry.http.error_response import response_error, transport_error
from mirror.registry.http.exchange import Exchange
from mirror.registry.http.headers import QuotaStatus
from mirror.registry.http.known_registries import known_registry
from mirror.registry.http.limits import RunBudget
from mirror.registry.http.optional_request import OptionalRequest, means_another_way
from mirror.registry.http.request import (
    Request,
    RequestContext,
    Response,
    Timeouts,
    address_of,
    decoded,
    host_of,
    is_cut,
    read_body,
)
from mirror.registry.http.retries import Clock, RetryPolicy
from mirror.registry.http.shared_turns import Turns
from mirror.registry.http.throughput import Throughput
from mirror.registry.spec import (
    ProtocolError,
    RegistryError,
    ServerError,
    Throttled,
    TimedOut,
    Unauthorized,
    let_go,
    load_object,
)

T = TypeVar("T")

_LOG: Final = logging.getLogger("mirror.registry")
_ERROR_BYTES: Final = 64 << 10  # of an error body that is read; the rest says no more
_TOKEN_BYTES: Final = 256 << 10
_LARGE_BODIES: Final = 2  # that are read at once


class HttpSession:
    """The connections to one registry and what is known of it. An async context manager.

    auth_from: another session of the same registry, whose tokens this one uses on its separate
    connections. transport: httpx transport to send with, for tests; None for real connections.
    concurrency, retry, timeouts: bounds; the defaults are measured. turns: at the
    registry, shared with other clients; None for separate ones. clock: time and chance.
    budget: what the run that sends the requests has left. counts: false for a target, whose
    manifests hold what was copied: what they name is not counted twice.

    `capabilities` is what the registry turned out to support. `calls` limits requests without a
    blob body, `downloads` and `uploads` blob bodies.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        auth_from: HttpSession | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        concurrency: Concurrency | None = None,
        turns: Turns | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        clock: Clock | None = None,
        budget: RunBudget | None = None,
        counts: bool = True,
    ) -> None:
        self.endpoint = endpoint
        self.retry = retry or RetryPolicy()
        self.timeouts = timeouts or Timeouts()
        self.clock = clock or Clock()
        self.budget = budget or RunBudget()
        self.counts = counts
        self.capabilities = Capabilities.of(known_registry(endpoint.host))
        bounds = concurrency or Concurrency.at_most(endpoint.most_requests)
        turns = turns or Turns.of(bounds, self.clock)
        self.calls, self.window = turns.calls, turns.window
        self.downloads, self.uploads = turns.downloads, turns.uploads
        self.health = ConnectionHealth()
        self.throughput = Throughput(self.clock)
        self.misdirected: RegistryError | None = None  # once an upload session led elsewhere
        self._large = asyncio.Semaphore(_LARGE_BODIES)
        self._asked: Counter[str] = Counter()
        self._own_auth = auth_from is None
        self._auth: Authenticator = (
            auth_from._auth
            if auth_from
            else Authenticator(endpoint, self._fetch_token, self.clock.monotonic)
        )
        self._exchange = Exchange(endpoint, transport, self.timeouts, self.clock, self.budget)
        self._authorized = AuthorizedExchange(endpoint, self._exchange, self._auth)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure_of_the_block: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        if self._own_auth:
            await self._auth.aclose()
        await self._exchange.transport.aclose()

    @property
    def host(self) -> str:
        """The registry's name as in references."""
        return self.endpoint.host

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, those for tokens, redirects and the web API included."""
        return self._exchange.transport.sent

    @property
    def counts_pulls(self) -> bool:
        """Whether reading a manifest may cost a share of a quota: yes, until it is known not to."""
        return self.capabilities.counts_pulls is not False or known_registry(self.host).counts_pulls

    @property
    def quota(self) -> QuotaStatus | None:
        """What the headers last said of the pull quota, None until they do."""
        return self._exchange.quota

    @property
    def destinations(self) -> Destinations:
        """Where requests may go."""
        return self._exchange.destinations

    def credential_origin(self, repository: str) -> str | None:
        """Where the credential used for a repository comes from; None where none was used."""
        return self._auth.origin((repository_scope(repository, "pull"),))

    def authorizes(self, url: str) -> bool:
        """Whether `url` is the registry's own, so that it may see our Authorization."""
        return self._exchange.is_own(url)

    def may_attempt(self, capability: str, after: int) -> bool:
        """True once, for the caller after `after` others: one attempt is enough for all."""
        self._asked[capability] += 1
        return self._asked[capability] == after + 1

    async def connect(self, count: int) -> None:
        """Open connections until `count` are idle, for requests that will follow soon.

        Each saves one of them the round trips of connecting. Errors are not raised: the requests
        will meet them too.
        """
        count = min(count, self.calls.width)
        await self._exchange.transport.connect(self._exchange.base, count, self.timeouts.connect)

    async def log_in(self, scopes: tuple[str, ...]) -> None:
        """Get early what requests with these scopes need.

        Otherwise the first learns which authorization the registry wants, while the others wait.
        Raises RegistryError.
        """
        if self._auth.scouted:
            await self._auth.header(scopes)
        else:
            await self._ping(scopes)

    async def _ping(self, scopes: tuple[str, ...] = ()) -> None:
        context = RequestContext(self.host, "checking the API version")
        request = Request("GET", f"{self.endpoint.base}/v2/", context, scopes, as_stored=True)
        await self.call(request, (200,))

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
            response = None
            try:
                async with self.calls.slot():
                    response = await self._respond(request, expected, most)
                if check is not None:
                    check(response)
                return response
            except RegistryError as error:
                response = None
                let_go(error)
                error.request = request.id
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
        about = {"request": error.request}
        _LOG.info("attempt %d, again in %.1f s: %s", attempts, wait, error, extra=about)
        await self.clock.sleep(wait)

    def wait_after(self, error: RegistryError, attempts: int) -> float | None:
        """Seconds until the next attempt after `attempts` of them, None for no further one."""
        if not error.transient or self.health.is_gone(self.clock.monotonic()):
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
            response = await self._authorized.send(request)
            self.health.hear()
            try:
                if response.status_code not in expected:
                    raise await self._refusal(response, request)
                yield response
            finally:
                await response.aclose()
        except RegistryError as error:
            error.request = request.id
            raise
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            self.health.miss(self.clock.monotonic())
            raise transport_error(error, request) from error

    async def _respond(self, request: Request, expected: Collection[int], most: int) -> Response:
        """One attempt of a request with its whole response, of `most` bytes at most."""
        try:
            async with asyncio.timeout(min(self.timeouts.answer, request.answer_in)):
                response = await self._authorized.send(request)
                self.health.hear()
                try:
                    if response.status_code not in expected:
                        raise await self._refusal(response, request)
                    body = b""
                    if request.method != "HEAD":
                        body = await read_body(response, most, request, self._large)
                        body = self._decoded(body, response, request, most)
                    return Response(
                        response.status_code, response.headers, body, address_of(response)
                    )
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            self.health.miss(self.clock.monotonic())
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
        by = "" if answered == host_of(self._exchange.base) else answered
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
