"""The API of one repository: addresses, scopes, and errors that name it.

What the specification's other nouns (tag list, referrers, blobs) build their requests with.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

import httpx

from mirror.outside_text import one_line
from mirror.registry.http import (
    ANSWER_SECONDS,
    ATTEMPTS,
    HttpSession,
    OptionalRequest,
    Request,
    RequestContext,
    Response,
    decoded,
    headers,
    repository_scope,
    resolve,
)
from mirror.registry.spec import (
    ConnectionFailed,
    Descriptor,
    DigestMismatch,
    InvalidReference,
    NotFound,
    ProtocolError,
    RequestRefused,
    is_repository,
    parse_digest,
)

READ_WHOLE: Final = 64 << 10  # bytes: a blob up to this size is read to its end to be sure of it


class RepositoryApi:
    """A repository of a registry, by name.

    base: where its API is. pull, push, remove: what a token must allow for reading, writing and
    deleting.
    """

    def __init__(self, registry: HttpSession, name: str) -> None:
        if not is_repository(name):
            raise InvalidReference(f"{one_line(name, 160)!r} is not a repository name")
        self.registry = registry
        self.name = name
        self.base = f"{registry.endpoint.base}/v2/{name}"
        self.pull = (repository_scope(name, "pull"),)
        self.push = (repository_scope(name, "pull", "push"),)
        self.remove = (repository_scope(name, "pull", "push", "delete"),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def __str__(self) -> str:
        return f"{self.registry.host}/{self.name}"

    async def head_blob(
        self, digest: str, expected: int | None = None, *, sure: bool = False
    ) -> int | None:
        """Size in bytes of a blob that the repository holds; None when it does not.

        By HEAD, else by a GET of one byte, also where HEAD gives no size or another than expected.
        expected: the size to return where the registry has the blob and gives no size at all.
        sure: a 404 to HEAD is not believed before GET has answered it too.
        """
        context = self.context("looking for the blob", str(parse_digest(digest)))
        url = f"{self.base}/blobs/{digest}"

        async def by_head() -> int | None:
            request = Request(
                *("HEAD", url, context, self.pull), attempts=ATTEMPTS, answer_in=ANSWER_SECONDS
            )
            try:
                response = await self.registry.call(request, (200,))
            except NotFound:
                if sure and (size := await self._size_by_get(url, context, expected)) is not None:
                    answer = self.malformed("404 to HEAD of a blob that GET has")
                    now = self.registry.clock.now()
                    self.registry.capabilities.remember(OptionalRequest.HEAD_BLOB, answer, now)
                    return size
                return None
            size = headers.length(response.headers.get("content-length"))
            kind = response.headers.get("content-type", "")
            if size is None or (expected is not None and size != expected) or "html" in kind:
                # Proxies leave the length out, or give that of something else.
                return await self._size_by_get(url, context, expected)
            return size

        return await self.registry.prefer(
            OptionalRequest.HEAD_BLOB,
            by_head,
            lambda: self._size_by_get(url, context, expected),
        )

    async def touch_blob(self, blob: Descriptor, *, whole: bool = True) -> int | None:
        """Size in bytes of a blob that can be read; None where it is missing.

        Its first byte is read, of a small one every byte (`whole`): a registry may answer HEAD for
        a blob whose bytes it has lost. Raises DigestMismatch for other bytes of the same size.
        """
        context = self.context("reading the blob", str(parse_digest(blob.digest)))
        url = f"{self.base}/blobs/{blob.digest}"
        if not whole or not 0 < blob.size <= READ_WHOLE:
            return await self._size_by_get(url, context, blob.size)

        mismatches = size = 0

        def check(response: Response) -> None:
            nonlocal mismatches, size
            body = blob_bytes(response, blob)
            size = len(body)
            if size == blob.size and not parse_digest(blob.digest).matches(body):
                mismatches += 1  # cut, or garbled by a cache
                again = mismatches < ATTEMPTS
                raise self.mismatch(blob, "its bytes have another digest", transient=again)

        request = Request("GET", url, context, self.pull, as_stored=True)
        try:
            await self.registry.call(request, (200,), READ_WHOLE << 1, check)
        except NotFound:
            return None
        return size

    async def _size_by_get(
        self, url: str, context: RequestContext, expected: int | None
    ) -> int | None:
        async def once(ranged: bool) -> int | None:
            sent = {"Range": "bytes=0-0"} if ranged else {}
            request = Request("GET", url, context, self.pull, sent)
            try:
                async with (
                    self.registry.calls.slot(),
                    self.registry.open(request, (200, 206, 416) if ranged else (200,)) as response,
                ):
                    found = response.headers
                    if "html" in found.get("content-type", ""):
                        raise self.malformed(f"an HTML page while {context.doing}")
                    if response.status_code == 200:
                        size = headers.length(found.get("content-length"))
                    else:  # 416: an empty blob has no first byte
                        total = re.fullmatch(
                            r"bytes .*/([0-9]{1,18})", found.get("content-range", "")
                        )
                        size = int(total.group(1)) if total else None
                    if response.status_code != 416 and size != 0:
                        await self._first_byte(response, context)
            except NotFound:
                return None
            size = expected if size is None else size
            if size is None:
                raise self.malformed(f"no size for blob {context.reference}")
            return size

        try:
            return await self.registry.retrying(lambda: once(ranged=True))
        except RequestRefused:
            return await self.registry.retrying(lambda: once(ranged=False))

    async def _first_byte(self, response: httpx.Response, context: RequestContext) -> None:
        async for piece in response.aiter_raw():
            if piece:
                return
        raise context.error(
            ConnectionFailed, f"no byte of the blob came while {context.doing}", transient=True
        )

    def context(self, doing: str, reference: str | None = None) -> RequestContext:
        """What a request to this repository is about, for error messages."""
        return RequestContext(self.registry.host, doing, self.name, reference)

    def malformed(self, what: str) -> ProtocolError:
        """The error of a response that the specification does not allow."""
        return self.context("").error(ProtocolError, f"the registry returned {what}")

    def mismatch(self, blob: Descriptor, what: str, *, transient: bool = False) -> DigestMismatch:
        """The error of a blob that is not what its descriptor says."""
        context = self.context("", blob.digest)
        message = f"blob of {blob.size} bytes: {what}"
        return context.error(DigestMismatch, message, transient=transient)

    def next_page(self, response: Response, seen: set[str]) -> str | None:
        """The address of a list's next page; None at its end or where that was read already."""
        link = headers.next_link(response.headers.get("link"))
        if link is None:
            return None
        target = resolve(link, response.url)
        if target is None:
            raise self.malformed("a link to the next page that is not an address")
        # Behind a proxy that ends TLS, registries name themselves by http or another host: path
        # and query are what counts.
        url = str(target)
        if not self.registry.authorizes(url):
            url = f"{self.registry.endpoint.base}{target.raw_path.decode('ascii')}"
        return None if url in seen else url


def blob_bytes(response: Response, blob: Descriptor) -> bytes:
    """A blob as it is stored: decoded where a proxy encoded it on the way."""
    body, encoding = response.body, response.headers.get("content-encoding")
    if encoding and not parse_digest(blob.digest).matches(body):  # else it is the blob's own
        with suppress(ValueError):
            return decoded(body, encoding, max(blob.size, 1))
    return body
