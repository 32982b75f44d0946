"""Requests to one registry: counted, authorized, bounded, retried, and their errors told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Self, TypeVar

import httpx

from mirror.registry.auth import Authenticator, TokenRequest
from mirror.registry.capabilities import Abilities
from mirror.registry.concurrency import Concurrency, Lane, Window
from mirror.registry.connection_health import Line
from mirror.registry.endpoint import Endpoint
from mirror.registry.error_response import Where
from mirror.registry.errors import RegistryError, ServerError, Throttled, TimedOut
from mirror.registry.headers import QuotaReading
from mirror.registry.http import Answer, Ask, Exchange, Timeouts
from mirror.registry.known_registries import Quirks, quirks_of
from mirror.registry.retries import Clockwork, RetryPolicy
from mirror.registry.throughput import Intake

T = TypeVar("T")


class Client:
    """The connection to one registry. An async context manager; `aclose` ends it.

    beside: another client of the same registry, whose tokens this one uses on connections of its
    own. transport: httpx transport to send with, for tests; None for real connections.
    concurrency, retry, timeouts: bounds; the defaults are measured. clock: time and chance.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        beside: Client | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        concurrency: Concurrency | None = None,
        retry: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        clock: Clockwork | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.retry = retry or RetryPolicy()
        self.timeouts = timeouts or Timeouts()
        self.clock = clock or Clockwork()
        self.quirks: Quirks = quirks_of(endpoint.host)
        self.abilities = Abilities.known(self.quirks)
        bounds = concurrency or Concurrency()
        self.calls = Lane(bounds.requests, bounds.most_requests, bounds.least, self.clock)
        transfers = (bounds.transfers, bounds.transfers, bounds.least, self.clock)
        self.downloads = Lane(*transfers, adapts=False)
        self.uploads = Lane(*transfers, adapts=False)
        self.window = Window(bounds.window)
        self.line = Line()
        self.intake = Intake(self.clock)
        self._own_auth = beside is None
        self._auth: Authenticator = (
            beside._auth
            if beside
            else Authenticator(endpoint, self._fetch_token, self.clock.monotonic)
        )
        self._exchange = Exchange(endpoint, self._auth, self.timeouts, self.clock, transport)
        self._tries: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure_of_the_block: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        if self._own_auth:
            await self._auth.aclose()
        await self._exchange.aclose()

    @property
    def host(self) -> str:
        """The registry's name as in references."""
        return self.endpoint.host

    @property
    def requests(self) -> int:
        """HTTP requests sent so far: tokens, redirects and the web API included."""
        return self._exchange.sent

    @property
    def quota(self) -> QuotaReading | None:
        """What the registry's headers last said of the pull quota; None when they never did."""
        return self._exchange.quota

    def credential_origin(self, repository: str) -> str | None:
        """Where the credential that was used for a repository comes from; None: none was used."""
        return self._exchange.credential_origin(repository)

    async def connect(self, count: int) -> None:
        """Have `count` connections open, for requests that will follow soon.

        Each saves one of them the round trips of a connection's beginning. What goes wrong is
        left to the requests, which meet it too and tell.
        """
        await self._exchange.connect(min(count, self.calls.width))

    def authorizes(self, url: str) -> bool:
        """Whether `url` is the registry's own, so that it may see our Authorization."""
        return self._exchange.authorizes(url)

    def open(
        self, ask: Ask, expected: Collection[int]
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """One try of a request, its answer's body unread: see Exchange.open."""
        return self._exchange.open(ask, expected)

    def first_try(self, ability: str) -> bool:
        """Whether nobody has begun yet to try out an ability: one try is enough for all."""
        first = ability not in self._tries
        self._tries.add(ability)
        return first

    def where(
        self, doing: str, repository: str | None = None, reference: str | None = None
    ) -> Where:
        """What a request is about, for messages."""
        return Where(self.host, doing, repository, reference)

    async def call(self, ask: Ask, expected: Collection[int], most: int = 1 << 20) -> Answer:
        """Make a request that carries no blob body and read its whole answer.

        Tried again as the retry policy says. most: bytes that the body may have.
        Raises the error of the tree that an answer outside `expected` stands for.
        """

        async def once() -> Answer:
            async with self.calls.slot():
                return await self._exchange.answer(ask, expected, most)

        return await self.retrying(once)

    async def call_web(self, ask: Ask, most: int) -> Answer:
        """GET from Docker Hub's web API: as `call`, anonymously, expecting 200."""

        async def once() -> Answer:
            async with self.calls.slot():
                return await self._exchange.plain_answer(ask, most)

        return await self.retrying(once)

    async def retrying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run `attempt` until it succeeds, fails for good, or the retry policy says stop."""
        made = 0
        while True:
            made += 1
            try:
                return await attempt()
            except RegistryError as error:
                wait = self.wait_after(error, made)
                if wait is None:
                    raise
            await self.clock.sleep(wait)

    def wait_after(self, error: RegistryError, made: int) -> float | None:
        """Seconds until the next try after `made` of them, None for no further one."""
        if not error.transient:
            return None
        if isinstance(error, Throttled | ServerError | TimedOut):
            for lane in (self.calls, self.downloads, self.uploads):
                lane.shrink()
        if isinstance(error, Throttled) and error.retry_after:
            self.calls.pause(min(error.retry_after, self.retry.patience))
        return self.retry.wait(made, error.retry_after, self.clock.random())

    async def _fetch_token(self, request: TokenRequest) -> bytes:
        sent = {"Accept": "application/json"}
        if request.authorization is not None:
            sent["Authorization"] = request.authorization
        if request.form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        where = Where(self.host, "a token", request.repository or None, None, request.origin)
        ask = Ask(
            "GET" if request.form is None else "POST",
            request.url,
            where,
            headers=sent,
            content=request.form,
        )
        answer = await self.retrying(lambda: self._exchange.plain_answer(ask, 256 << 10))
        return answer.body
