"""One try of a request: authorized, its redirects followed, its failure told as an error.

distribution-spec v1.1, "Authorization"; RFC 9110, 15.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import httpx

from mirror.registry import headers
from mirror.registry.auth import Authenticator, repository_scope
from mirror.registry.endpoint import Endpoint
from mirror.registry.error_response import Where, failure
from mirror.registry.errors import ConnectionFailed, ProtocolError, RegistryError, TimedOut
from mirror.registry.retries import Clockwork
from mirror.registry.sending import address_of, origin, send
from mirror.registry.transport import Wire

_ERROR_BYTES: Final = 64 << 10  # of an error body that is read; the rest says no more
_PIECE: Final = 256 << 10  # a longer body is written in pieces, so as not to hold up the loop
_ALWAYS: Final = {
    "User-Agent": "hagicode-mirror/0.1",
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


class Exchange:
    """Sends requests to one registry and to the services beside it.

    `auth` may be shared with another exchange of the same registry; who made it closes it.
    `quota` is what the pull quota's headers last said, `sent` how many requests went out.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        auth: Authenticator,
        timeouts: Timeouts,
        clock: Clockwork,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self.quota: headers.QuotaReading | None = None
        self._timeouts = timeouts
        self._clock = clock
        self._wire = Wire(transport, endpoint.ca_file)
        self._timeout = httpx.Timeout(
            timeouts.stall, connect=timeouts.connect, pool=timeouts.connect
        ).as_dict()
        self._own = f"{endpoint.base}/"
        self._origin = origin(endpoint.base)
        self._auth = auth

    async def aclose(self) -> None:
        """Close every connection."""
        await self._wire.aclose()

    @property
    def sent(self) -> int:
        """HTTP requests sent so far."""
        return self._wire.sent

    async def connect(self, count: int) -> None:
        """Have `count` connections to the registry open: see Wire.connect."""
        await self._wire.connect(self._own, count, self._timeouts.connect)

    async def answer(self, ask: Ask, expected: Collection[int], most: int) -> Answer:
        """One try of a request with its whole answer, of `most` bytes at most."""
        try:
            async with asyncio.timeout(self._timeouts.answer), self.open(ask, expected) as response:
                body = b"" if ask.method == "HEAD" else await _read(response, most, ask.where)
                return Answer(response.status_code, response.headers, body, address_of(response))
        except TimeoutError as error:
            raise self._untold(TimedOut, "no whole answer in time while", error, ask) from error

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

    async def plain_answer(self, ask: Ask, most: int) -> Answer:
        """One try at a service beside the registry: the ask's own Authorization or none."""
        try:
            async with asyncio.timeout(self._timeouts.answer):
                response = await self._followed(ask, None)
                try:
                    if response.status_code != 200:
                        raise await self._failure(response, ask)
                    body = await _read(response, most, ask.where)
                    return Answer(200, response.headers, body, address_of(response))
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._untold(TimedOut, "no answer in time for", error, ask) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._untold(ConnectionFailed, "the connection failed for", error, ask) from error

    def credential_origin(self, repository: str) -> str | None:
        """Where the credential that was used for a repository comes from; None: none was used."""
        return self._auth.origin((repository_scope(repository, "pull"),))

    def authorizes(self, url: str) -> bool:
        """Whether `url` is the registry's own, so that it may see our Authorization."""
        return url.startswith(self._own) or origin(url) == self._origin

    async def _authorized(self, ask: Ask) -> httpx.Response:
        if not self._auth.scouted:
            # The first request finds out how the registry wants to be spoken to; the others
            # wait for it, so that 200 at once do not collect 200 refusals.
            async with self._auth.scouting:
                if not self._auth.scouted:
                    try:
                        return await self._tried(ask)
                    finally:
                        self._auth.scouted = True
        return await self._tried(ask)

    async def _tried(self, ask: Ask) -> httpx.Response:
        own = self.authorizes(ask.url)
        authorization = await self._auth.header(ask.scopes) if own else None
        response = await self._followed(ask, authorization)
        if response.status_code != 401 or not own or not ask.replayable:
            return response
        if not self.authorizes(address_of(response)):
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
            self._wire, ask.method, ask.url, sent, content, self._timed(ask.extensions)
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
                self._clock.now(),
            )
            self.quota = reading or self.quota

    async def _failure(self, response: httpx.Response, ask: Ask) -> RegistryError:
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) >= _ERROR_BYTES:
                break
        wait = headers.retry_after(response.headers.get("retry-after"), self._clock.now())
        where = replace(ask.where, origin=ask.where.origin or self._auth.origin(ask.scopes))
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
