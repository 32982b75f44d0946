"""Upload sessions (distribution-spec v1.1, "Pushing blobs").

A session's address may be relative and carry a query: it is only ever appended to. The Location of
every response replaces it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final, Self
from urllib.parse import quote

import httpx

from mirror.registry.http import (
    ATTEMPTS,
    Request,
    RequestContext,
    Response,
    address_of,
    headers,
    host_of,
    resolve,
)
from mirror.registry.repository_api import RepositoryApi
from mirror.registry.spec import (
    ForbiddenAddress,
    MisdirectedUpload,
    NotFound,
    ProtocolError,
    RegistryError,
    RequestRefused,
    TimedOut,
    media_type,
)

_COMMIT_SECONDS: Final = 300.0  # a registry may move a large blob in its store before it responds
_DONE: Final = (200, 201, 202, 204)
_LEAST_PIECE: Final = 32 << 10  # bytes that are sent at once where a line is slow
_MOST_PIECE: Final = 1 << 20


async def post_whole(repository: RepositoryApi, digest: str, body: bytes) -> UploadSession | None:
    """Push a blob with one POST; None when it is stored, else the session that was opened."""
    url = f"{repository.base}/blobs/uploads/?digest={quote(digest)}"
    context = repository.context("uploading the blob", digest)
    request = Request(
        *("POST", url, context, repository.push, _octets(len(body)), body), attempts=ATTEMPTS
    )
    response = await repository.registry.call(request, _DONE)
    _check_done(context, response.status, response.headers)
    return UploadSession(repository, digest, response) if response.status == 202 else None


class UploadSession:
    """An upload session. `offset` is how many bytes the registry reports that it holds."""

    def __init__(self, repository: RepositoryApi, digest: str, response: Response) -> None:
        self._repository = repository
        self._registry = repository.registry
        self._digest = digest
        self._context = repository.context("uploading the blob", digest or None)
        self.offset = 0
        self.least_chunk = headers.length(response.headers.get("oci-chunk-min-length")) or 0
        self.url = self._moved(response.headers, response.url, None)

    @classmethod
    async def start(cls, repository: RepositoryApi, digest: str) -> Self:
        """Open a session (POST)."""
        if repository.registry.misdirected is not None:
            raise repository.registry.misdirected
        context = repository.context("uploading the blob", digest)
        url = f"{repository.base}/blobs/uploads/"
        request = Request("POST", url, context, repository.push, {"Content-Length": "0"}, b"")
        return cls(repository, digest, await repository.registry.call(request, (202,)))

    async def send(
        self, body: AsyncIterator[bytes], length: int, *, ranged: bool, fresh: bool
    ) -> None:
        """PATCH `length` bytes of `body` after those that the session holds.

        One attempt, since a body cannot be sent twice. ranged: with Content-Range, as a chunk.
        fresh: over a separate connection. `offset` follows the registry's Range, where there is
        one. Raises TimedOut when no byte could be sent for the stall time.
        """
        sent = _octets(length)
        if ranged:
            sent["Content-Range"] = f"{self.offset}-{self.offset + length - 1}"
        seconds = self._registry.timeouts.answer
        found, at = await self._stream("PATCH", self.url, sent, body, seconds, fresh=fresh)
        held = headers.uploaded_bytes(found.get("range"))
        self.url = self._moved(found, at, self.url)
        self.offset = held if held else self.offset + length

    async def send_whole(self, body: AsyncIterator[bytes], length: int) -> None:
        """Close a session that holds nothing yet with the whole blob (PUT ?digest=).

        One attempt, as `send`, whose round trip it saves. Raises as that does.
        """
        seconds = _COMMIT_SECONDS
        await self._stream("PUT", self._closing(), _octets(length), body, seconds, fresh=False)

    async def _stream(
        self,
        method: str,
        url: str,
        sent: dict[str, str],
        body: AsyncIterator[bytes],
        answer_in: float,
        *,
        fresh: bool,
    ) -> tuple[httpx.Headers, str]:
        """The response's headers and address. Raises TimedOut when connection or registry stall.

        answer_in: seconds within which the response must arrive after the last byte.
        """
        stall = self._registry.timeouts.stall
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as guard:

                async def watched() -> AsyncIterator[bytes]:
                    pieces = _Pieces(stall)
                    async for whole in body:
                        for piece in pieces.of(whole):
                            began = loop.time()
                            guard.reschedule(began + stall)
                            yield piece
                            self._registry.health.hear()
                            pieces.taken_in(loop.time() - began)
                        guard.reschedule(None)  # waiting for the source is the source's business
                    guard.reschedule(loop.time() + answer_in)

                request = Request(
                    method,
                    url,
                    self._context,
                    self._repository.push,
                    sent,
                    watched(),
                    fresh_connection=fresh,
                    read_timeout=answer_in,
                )
                async with self._registry.open(request, _DONE) as response:
                    _check_done(self._context, response.status_code, response.headers)
                    return response.headers, address_of(response)
        except TimeoutError as error:
            raise self._context.error(
                TimedOut,
                f"the registry took no byte for {stall:.0f} s while uploading the blob",
                transient=True,
            ) from error

    async def resume(self) -> bool:
        """Query how much the session holds (GET) and set `offset`; False when it is lost."""
        request = Request("GET", self.url, self._context, self._repository.push)
        try:
            response = await self._registry.call(request, (200, 202, 204))
        except (NotFound, RequestRefused):
            return False
        held = headers.uploaded_bytes(response.headers.get("range"))
        self.url = self._moved(response.headers, response.url, self.url)
        if held is None:
            return False
        self.offset = held
        return True

    async def commit(self, body: bytes = b"") -> None:
        """Close the session (PUT ?digest=), with the whole body where there was no PATCH.

        One attempt: after a failure the session's state is unknown.
        """
        request = Request(
            "PUT",
            self._closing(),
            self._context,
            self._repository.push,
            _octets(len(body)),
            body,
            read_timeout=_COMMIT_SECONDS,
        )
        async with (
            self._registry.calls.slot(),
            self._registry.open(request, _DONE) as response,
        ):
            _check_done(self._context, response.status_code, response.headers)

    def _closing(self) -> str:
        joint = "&" if "?" in self.url else "?"
        return f"{self.url}{joint}digest={quote(self._digest)}"

    async def cancel(self) -> None:
        """Cancel the session (DELETE); registries that do not support it expire it."""
        request = Request("DELETE", self.url, self._context, self._repository.push)
        registry = self._registry
        try:
            async with asyncio.timeout(registry.timeouts.connect), registry.open(request, _DONE):
                return
        except (RegistryError, TimeoutError):
            return

    def _moved(self, found: httpx.Headers, base: str, known: str | None) -> str:
        """The session's address after a response; `known` where that has no Location."""
        location: str | None = found.get("location")
        if not location:
            if known is not None:
                return known
            raise self._no_location("no Location")
        own = self._registry.endpoint.base
        if self._registry.misdirected is not None:
            raise self._registry.misdirected
        if location.startswith(f"{own}/"):
            return location  # the usual case, which need not be parsed
        url = resolve(location, base)
        if url is None:
            raise self._no_location("a Location that is not an address")
        # Behind a proxy that ends TLS registries may name themselves by http: the scheme stays.
        at = httpx.URL(own)
        if url.host == at.host and url.scheme == "http" and at.scheme == "https":
            url = url.copy_with(scheme="https", port=at.port)
        if url.host == at.host and url.scheme == at.scheme and at.port and url.port is None:
            self._registry.misdirected = self._context.error(
                MisdirectedUpload,
                f"the registry opened an upload session whose Location leads to"
                f" {url.scheme}://{url.host}, without the port of {at.netloc.decode('ascii')}:"
                " a proxy in front of the registry strips it (let it pass on the Host header with"
                " the port)",
            )
            raise self._registry.misdirected
        if problem := self._registry.destinations.upload_problem(str(url)):
            raise self._context.error(
                ForbiddenAddress,
                f"the registry opened an upload session at {host_of(str(url))}, {problem}: not"
                f" followed (name it in storage_hosts of {self._registry.host} if it belongs to the"
                " registry)",
            )
        return str(url)

    def _no_location(self, what: str) -> ProtocolError:
        return self._context.error(
            ProtocolError, f"the registry opened an upload session with {what}"
        )


class _Pieces:
    """Cuts a body so that a slow line takes a piece well within the stall time.

    Else a line that takes half a MiB in a minute would look like one that takes nothing.
    """

    def __init__(self, stall: float) -> None:
        self._stall = stall
        self._most = _LEAST_PIECE

    def of(self, whole: bytes) -> Iterator[bytes]:
        """The bytes in pieces; each is as large as the time that the one before took allows."""
        view, start = memoryview(whole), 0
        while start < len(whole):
            most = self._most
            yield whole if start == 0 and len(whole) <= most else bytes(view[start : start + most])
            start += most

    def taken_in(self, seconds: float) -> None:
        """The line took the last piece after so long."""
        if seconds > self._stall / 8:
            self._most = _LEAST_PIECE
        elif self._most < _MOST_PIECE:
            self._most *= 2


def _check_done(context: RequestContext, status: int, found: httpx.Headers) -> None:
    """Raise ProtocolError for a page that a proxy answers instead of the registry."""
    if status == 200 and "html" in found.get("content-type", ""):
        raise context.error(ProtocolError, f"an HTML page while {context.doing}", status=status)


def _octets(length: int) -> dict[str, str]:
    return {"Content-Type": media_type.OCTETS, "Content-Length": str(length)}
