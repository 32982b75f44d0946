"""Requests to one registry: counted, authorized, bounded, retried, and their errors told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self, TypeVar

import httpx

from flows.registry import headers
from flows.registry.abilities import Abilities
from flows.registry.answers import Where, failure
from flows.registry.auth import Authenticator, TokenRequest
from flows.registry.credentials import Endpoint
from flows.registry.errors import (
    ConnectionFailed,
    ProtocolError,
    RegistryError,
    Throttled,
    TimedOut,
)
from flows.registry.limits import Concurrency, Lane, Window
from flows.registry.lines import Line
from flows.registry.quirks import Quirks, quirks_of
from flows.registry.retries import Clockwork, RetryPolicy
from flows.registry.sending import origin, send
from flows.registry.transport import Wire

T = TypeVar("T")
_ERROR_BYTES: Final = 64 << 10  # of an error body that is read; the rest says no more
_PIECE: Final = (
    256 << 10
)  # a body of more bytes is written in pieces, so as not to hold up the loop
AGENT: Final = "hagicode-mirror/0.1"
_ALWAYS: Final = {
    "User-Agent": AGENT,
    "Accept": "*/*",
    "Accept-Encoding": "identity",  # digests are of the bytes as stored
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. connect: until a connection stands; stall: between two bytes; answer: for a whole
    request that carries no blob."""

    connect: float = 10.0
    stall: float = 30.0
    answer: float = 120.0


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to be made, perhaps several times."""

    method: str
    url: str
    where: Where
    scopes: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may be secret
    content: bytes | AsyncIterator[bytes] | None = field(default=None, repr=False)
    extensions: Mapping[str, object] = field(default_factory=dict)

    @property
    def replayable(self) -> bool:
        """Whether it can be sent a second time."""
        return self.content is None or isinstance(self.content, bytes)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: httpx.Headers
    body: bytes
    url: str


class Client:
    """The connection to one registry. An async context manager; `aclose` ends it.

    transport: httpx transport to send with, for tests; None for real connections.
    concurrency, retry, timeouts: bounds; the defaults are measured. clock: time and chance.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
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
        self.quota: headers.QuotaReading | None = None
        bounds = concurrency or Concurrency()
        self.calls = Lane(bounds.requests, bounds.most_requests, bounds.least, self.clock)
        self.downloads = Lane(bounds.transfers, bounds.transfers, bounds.least, self.clock)
        self.uploads = Lane(bounds.transfers, bounds.transfers, bounds.least, self.clock)
        self.window = Window(bounds.window)
        self.line = Line()
        self._wire = Wire(transport, endpoint.ca_file)
        self._timeout = httpx.Timeout(
            self.timeouts.stall, connect=self.timeouts.connect, pool=self.timeouts.connect
        ).as_dict()
        self._own = f"{endpoint.base}/"
        self._origin = origin(httpx.URL(endpoint.base))
        self._auth = Authenticator(endpoint, self._fetch_token, self.clock.monotonic)
        self._scouting = asyncio.Lock()
        self._scouted = False
        self._tries: set[str] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure_of_the_block: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._auth.aclose()
        await self._wire.aclose()

    @property
    def host(self) -> str:
        """The registry's name as in references."""
        return self.endpoint.host

    @property
    def requests(self) -> int:
        """HTTP requests sent so far: tokens, redirects and the web API included."""
        return self._wire.sent

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
                answer = await self._answer(ask, expected, most)
            self.calls.grow()
            return answer

        return await self.retrying(once)

    async def call_web(self, ask: Ask, most: int) -> Answer:
        """GET from Docker Hub's web API: as `call`, anonymously, expecting 200."""

        async def once() -> Answer:
            async with self.calls.slot():
                return await self._plain_answer(ask, most)

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
        if isinstance(error, Throttled) or error.status is not None:
            self.calls.shrink()
        if isinstance(error, Throttled) and error.retry_after:
            self.calls.pause(min(error.retry_after, self.retry.patience))
        return self.retry.wait(made, error.retry_after, self.clock.random())

    @asynccontextmanager
    async def open(self, ask: Ask, expected: Collection[int]) -> AsyncIterator[httpx.Response]:
        """One try of a request, its answer's body unread.

        A 401 is answered once with a fresh token; redirects of GET and HEAD are followed, without
        Authorization to another host. Raises as `call`.
        """
        try:
            response = await self._authorized(ask)
            try:
                if response.status_code not in expected:
                    raise await self._failure(response, ask)
                yield response
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise self._untold(TimedOut, "no answer in time while", error, ask) from error
        except httpx.TransportError as error:
            refused = isinstance(error, httpx.RemoteProtocolError | httpx.UnsupportedProtocol)
            kind = ProtocolError if refused else ConnectionFailed
            raise self._untold(kind, "the connection failed while", error, ask) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._untold(ProtocolError, "no sense in the answer while", error, ask) from error

    def authorizes(self, url: str) -> bool:
        """Whether `url` is the registry's own, so that it may see our Authorization."""
        return url.startswith(self._own) or origin(httpx.URL(url)) == self._origin

    async def _answer(self, ask: Ask, expected: Collection[int], most: int) -> Answer:
        try:
            async with asyncio.timeout(self.timeouts.answer), self.open(ask, expected) as response:
                body = b"" if ask.method == "HEAD" else await _read(response, most, ask.where)
                return Answer(response.status_code, response.headers, body, str(response.url))
        except TimeoutError as error:
            raise self._untold(TimedOut, "no whole answer in time while", error, ask) from error

    async def _authorized(self, ask: Ask) -> httpx.Response:
        if not self._scouted:
            # The first request finds out how the registry wants to be spoken to; the others
            # wait for it, so that 200 at once do not collect 200 refusals.
            async with self._scouting:
                if not self._scouted:
                    try:
                        return await self._tried(ask)
                    finally:
                        self._scouted = True
        return await self._tried(ask)

    async def _tried(self, ask: Ask) -> httpx.Response:
        own = self.authorizes(ask.url)
        authorization = await self._auth.header(ask.scopes) if own else None
        response = await self._followed(ask, authorization)
        if response.status_code != 401 or not own or not ask.replayable:
            return response
        if origin(response.url) != self._origin:
            return response  # another host's refusal is none of our registry's challenges
        try:
            challenges = response.headers.get_list("www-authenticate")
            renewed = await self._auth.renewed(challenges, ask.scopes, authorization)
            if renewed is None:
                return response
        except BaseException:
            await response.aclose()
            raise
        await response.aclose()
        return await self._followed(ask, renewed)

    async def _followed(self, ask: Ask, authorization: str | None) -> httpx.Response:
        sent = {**_ALWAYS, **ask.headers}
        if authorization is not None:
            sent["Authorization"] = authorization
        content: bytes | AsyncIterator[bytes] | None = ask.content
        if isinstance(content, bytes) and len(content) > _PIECE:
            sent["Content-Length"] = str(len(content))
            content = _in_pieces(content)
        response = await send(
            self._wire, ask.method, httpx.URL(ask.url), sent, content, self._timed(ask.extensions)
        )
        self._note_quota(response)
        return response

    def _timed(self, extensions: Mapping[str, object]) -> Mapping[str, object]:
        return extensions if "timeout" in extensions else {**extensions, "timeout": self._timeout}

    def _note_quota(self, response: httpx.Response) -> None:
        found = response.headers
        if "ratelimit-limit" in found:
            reading = headers.quota(
                found.get("ratelimit-limit"),
                found.get("ratelimit-remaining"),
                found.get("docker-ratelimit-source"),
                self.clock.now(),
            )
            self.quota = reading or self.quota

    async def _failure(self, response: httpx.Response, ask: Ask) -> RegistryError:
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) >= _ERROR_BYTES:
                break
        wait = headers.retry_after(response.headers.get("retry-after"), self.clock.now())
        where = Where(
            ask.where.registry,
            ask.where.doing,
            ask.where.repository,
            ask.where.reference,
            ask.where.origin or self._auth.origin(ask.scopes),
        )
        error = failure(response, bytes(body[:_ERROR_BYTES]), where, wait)
        error.body = bytes(body[:_ERROR_BYTES])
        return error

    def _untold(
        self, kind: type[RegistryError], what: str, error: Exception, ask: Ask
    ) -> RegistryError:
        where = ask.where
        detail = f" ({error})" if str(error) else ""
        return kind(
            f"{where}: {what} {where.doing}{detail}",
            registry=where.registry,
            repository=where.repository,
            reference=where.reference,
            transient=not _is_certificate(error),
        )

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
        answer = await self.retrying(lambda: self._plain_answer(ask, 256 << 10))
        return answer.body

    async def _plain_answer(self, ask: Ask, most: int) -> Answer:
        """One try at a service beside the registry: the ask's own Authorization or none."""
        try:
            async with asyncio.timeout(self.timeouts.answer):
                response = await self._followed(ask, None)
                try:
                    if response.status_code != 200:
                        raise await self._failure(response, ask)
                    body = await _read(response, most, ask.where)
                    return Answer(200, response.headers, body, str(response.url))
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._untold(TimedOut, "no answer in time for", error, ask) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._untold(ConnectionFailed, "the connection failed for", error, ask) from error


async def _in_pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


async def _read(response: httpx.Response, most: int, where: Where) -> bytes:
    stated = headers.length(response.headers.get("content-length"))
    body = bytearray()
    if stated is None or stated <= most:
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > most:
                break
    if len(body) > most or (stated is not None and stated > most):
        raise ProtocolError(
            f"{where}: an answer of more than {most} bytes while {where.doing}: not read",
            registry=where.registry,
            repository=where.repository,
            reference=where.reference,
            status=response.status_code,
        )
    return bytes(body)


def _is_certificate(error: Exception) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" in str(error)
