"""Writing blobs: upload sessions (distribution-spec v1.1, "Pushing blobs").

Where a session is may be relative and carry a query: it is only ever appended to. Every answer's
Location replaces it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote

import httpx

from mirror.registry import headers, media_type as mediatypes
from mirror.registry.errors import NotFound, ProtocolError, RegistryError, RequestRefused, TimedOut
from mirror.registry.http import Answer, Ask
from mirror.registry.sending import address_of
from mirror.registry.transport import FRESH

if TYPE_CHECKING:
    from mirror.registry.repository import Repository

_COMMIT_SECONDS: Final = 300.0  # a registry may move a large blob in its store before it answers
_DONE: Final = (200, 201, 202, 204)


async def post_whole(repository: Repository, digest: str, body: bytes) -> Upload | None:
    """Push a blob with one POST; None when it is stored, else the session that was opened."""
    url = f"{repository.base}/blobs/uploads/?digest={quote(digest)}"
    where = repository.where("uploading the blob", digest)
    ask = Ask("POST", url, where, repository.push, _octets(len(body)), body)
    answer = await repository.registry.call(ask, _DONE)
    return Upload(repository, digest, answer) if answer.status == 202 else None


async def cancel_session(repository: Repository, answer: Answer) -> None:
    """Cancel the session that an answer opened."""
    await Upload(repository, "", answer).cancel()


class Upload:
    """An upload session. `offset` is how many bytes the registry said that it holds."""

    def __init__(self, repository: Repository, digest: str, answer: Answer) -> None:
        self._repository = repository
        self._digest = digest
        self._where = repository.where("uploading the blob", digest or None)
        self.offset = 0
        self.least_chunk = headers.length(answer.headers.get("oci-chunk-min-length")) or 0
        self.url = self._moved(answer.headers, answer.url, None)

    @classmethod
    async def begin(cls, repository: Repository, digest: str) -> Self:
        """Open a session (POST)."""
        where = repository.where("uploading the blob", digest)
        url = f"{repository.base}/blobs/uploads/"
        ask = Ask("POST", url, where, repository.push, {"Content-Length": "0"}, b"")
        return cls(repository, digest, await repository.registry.call(ask, (202,)))

    async def send(
        self, body: AsyncIterator[bytes], length: int, *, ranged: bool, fresh: bool
    ) -> None:
        """PATCH `length` bytes of `body` after those that the session holds.

        One try, since a body cannot be sent twice. ranged: with Content-Range, as a chunk.
        fresh: over a connection of its own. `offset` follows the registry's Range, where it
        answers one. Raises TimedOut when no byte could be sent for the stall time.
        """
        sent = _octets(length)
        if ranged:
            sent["Content-Range"] = f"{self.offset}-{self.offset + length - 1}"
        seconds = self._repository.registry.timeouts.answer
        found, at = await self._stream("PATCH", self.url, sent, body, seconds, fresh=fresh)
        held = headers.uploaded_bytes(found.get("range"))
        self.url = self._moved(found, at, self.url)
        self.offset = held if held else self.offset + length

    async def send_whole(self, body: AsyncIterator[bytes], length: int) -> None:
        """Close a session that holds nothing yet with the whole blob (PUT ?digest=).

        One try, as `send`, which it saves with its round trip. Raises as that does.
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
        """The answer's headers and address. Raises TimedOut when the line or the registry stalls.

        answer_in: seconds within which the answer must come after the last byte.
        """
        registry = self._repository.registry
        stall = registry.timeouts.stall
        extensions: dict[str, object] = {
            "timeout": httpx.Timeout(answer_in, connect=registry.timeouts.connect).as_dict()
        }
        if fresh:
            extensions[FRESH] = True
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as guard:

                async def watched() -> AsyncIterator[bytes]:
                    async for piece in body:
                        guard.reschedule(loop.time() + stall)
                        yield piece
                        guard.reschedule(None)  # waiting for the source is the source's business
                    guard.reschedule(loop.time() + answer_in)

                where, push = self._where, self._repository.push
                ask = Ask(method, url, where, push, sent, watched(), extensions)
                async with registry.open(ask, _DONE) as response:
                    return response.headers, address_of(response)
        except TimeoutError as error:
            raise TimedOut(
                f"{self._where}: the registry took no byte for {stall:.0f} s while uploading the"
                " blob",
                registry=registry.host,
                repository=self._repository.name,
                reference=self._digest,
                transient=True,
            ) from error

    async def resume(self) -> bool:
        """Ask how much the session holds (GET) and set `offset`; False when it is lost."""
        ask = Ask("GET", self.url, self._where, self._repository.push)
        try:
            answer = await self._repository.registry.call(ask, (200, 202, 204))
        except (NotFound, RequestRefused):
            return False
        held = headers.uploaded_bytes(answer.headers.get("range"))
        self.url = self._moved(answer.headers, answer.url, self.url)
        if held is None:
            return False
        self.offset = held
        return True

    async def commit(self, body: bytes = b"") -> None:
        """Close the session (PUT ?digest=), with the whole body where there was no PATCH.

        One try: after a failure the session's state is not known.
        """
        registry = self._repository.registry
        seconds = httpx.Timeout(_COMMIT_SECONDS, connect=registry.timeouts.connect)
        ask = Ask(
            "PUT",
            self._closing(),
            self._where,
            self._repository.push,
            _octets(len(body)),
            body,
            {"timeout": seconds.as_dict()},
        )
        async with registry.calls.slot(), registry.open(ask, _DONE):
            return

    def _closing(self) -> str:
        joint = "&" if "?" in self.url else "?"
        return f"{self.url}{joint}digest={quote(self._digest)}"

    async def cancel(self) -> None:
        """Give the session up (DELETE); registries that cannot will drop it by themselves."""
        ask = Ask("DELETE", self.url, self._where, self._repository.push)
        registry = self._repository.registry
        try:
            async with asyncio.timeout(registry.timeouts.connect), registry.open(ask, _DONE):
                return
        except (RegistryError, TimeoutError):
            return

    def _moved(self, found: httpx.Headers, base: str, known: str | None) -> str:
        location: str | None = found.get("location")
        if not location:
            if known is not None:
                return known
            raise self._no_location("no Location")
        if location.startswith(f"{self._repository.registry.endpoint.base}/"):
            return location  # the usual case, which need not be taken apart
        try:
            url = httpx.URL(base).join(location)
        except (httpx.InvalidURL, ValueError):
            raise self._no_location("a Location that is no address") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise self._no_location("a Location that is no address")
        return self._upgraded(url)

    def _upgraded(self, url: httpx.URL) -> str:
        """Behind a proxy that ends TLS registries may say http of themselves: the scheme stays."""
        base = httpx.URL(self._repository.registry.endpoint.base)
        if url.host == base.host and url.scheme == "http" and base.scheme == "https":
            url = url.copy_with(scheme="https", port=base.port)
        return str(url)

    def _no_location(self, what: str) -> ProtocolError:
        return ProtocolError(
            f"{self._where}: the registry opened an upload session with {what}",
            registry=self._repository.registry.host,
            repository=self._repository.name,
            reference=self._digest or None,
        )


def _octets(length: int) -> dict[str, str]:
    return {"Content-Type": mediatypes.OCTETS, "Content-Length": str(length)}
