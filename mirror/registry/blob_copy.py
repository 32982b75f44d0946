"""Copying a blob from one repository to another: the hot path.

    inline or empty   no download
    small             read whole, then POST and PUT, or one POST where the registry takes it
    large             streamed: POST and PUT; with PATCH between, where all in the PUT is refused
                      or broke; in chunks where the registry wants them

The digest is checked before the upload is committed. What is held of a large blob is bounded by
the buffers of its two connections and by BlobStream, whatever its size.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final

from mirror.registry.blob_download import BlobReader, read_fast
from mirror.registry.blob_upload import StreamedUpload
from mirror.registry.descriptor import Descriptor
from mirror.registry.digest import parse_digest
from mirror.registry.errors import DigestMismatch, RegistryError
from mirror.registry.optional_request import OptionalRequest
from mirror.registry.repository_api import RepositoryApi, blob_bytes
from mirror.registry.request import Request, in_pieces
from mirror.registry.upload_session import UploadSession, post_whole

SMALL: Final = 1 << 20  # bytes: up to this size a blob is held whole
_GARBLED: Final = 2  # times that a blob is fetched again when it arrived garbled
_KEPT: Final = 2 << 20  # bytes kept to be sent once more after a broken connection

Progress = Callable[[int], None]
Throttle = Callable[[int], Awaitable[None]]


async def copy_blob(
    source: RepositoryApi,
    target: RepositoryApi,
    descriptor: Descriptor,
    *,
    progress: Progress | None = None,
    throttle: Throttle | None = None,
    garbled: Callable[[str], None] | None = None,
) -> None:
    """Copy a blob from `source` to `target`, without checking whether it is there already.

    progress: called with the number of bytes newly sent. throttle: awaited with the number of
    bytes that came from the source, before they go on; it may take its time.
    A blob that arrives with another digest is fetched again, twice at most; garbled: called with
    what was wrong each time.
    Raises DigestMismatch before anything is committed when the bytes are not what the descriptor
    says, and any other error of the tree when retries have not helped.
    """
    for left in range(_GARBLED, -1, -1):
        try:
            await _copy(source, target, descriptor, progress, throttle)
            return
        except RegistryError as error:
            if not left or not _was_garbled(error):
                raise
            if garbled is not None:
                garbled(str(error))


def _was_garbled(error: RegistryError) -> bool:
    """Whether bytes were damaged in transit, so that the same copy may well succeed."""
    damaged = isinstance(error, DigestMismatch) and error.transient
    return damaged or error.code == "DIGEST_INVALID"


async def _copy(
    source: RepositoryApi,
    target: RepositoryApi,
    descriptor: Descriptor,
    progress: Progress | None,
    throttle: Throttle | None,
) -> None:
    if descriptor.size <= SMALL:
        if throttle is not None:
            await throttle(descriptor.size)
        await _copy_small(source, target, descriptor)
        if progress is not None and descriptor.size:
            progress(descriptor.size)
        return
    async with target.registry.uploads.slot(), source.registry.downloads.slot():
        stream = BlobStream(source, descriptor, progress, throttle)
        # The source's first round trips overlap with the opening of the target's session.
        prefetch = asyncio.create_task(stream.prefetch())
        try:
            await StreamedUpload(target, descriptor, stream).run()
        finally:
            prefetch.cancel()
            await asyncio.gather(prefetch, return_exceptions=True)
            await stream.aclose()


async def _copy_small(source: RepositoryApi, target: RepositoryApi, descriptor: Descriptor) -> None:
    capabilities = target.registry.capabilities
    tries_post = capabilities.single_post is True or (
        capabilities.single_post is None and target.registry.first_attempt("single_post")
    )
    opening: asyncio.Task[UploadSession] | None = None
    if not tries_post:
        opening = asyncio.create_task(UploadSession.start(target, descriptor.digest))
    try:
        body = await _read_small(source, descriptor)
        if opening is not None:
            await _put_small(target, descriptor.digest, body, await opening)
            return

        async def by_post() -> None:
            session = await post_whole(target, descriptor.digest, body)
            capabilities.single_post = session is None
            if session is not None:
                await _put_small(target, descriptor.digest, body, session)

        await target.registry.prefer(
            OptionalRequest.SINGLE_POST,
            by_post,
            lambda: _put_small(target, descriptor.digest, body, None),
        )
    finally:
        if opening is not None:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)


async def _put_small(
    target: RepositoryApi, digest: str, body: bytes, session: UploadSession | None
) -> None:
    """PUT the whole body; after a failure the session is in doubt, so each attempt has its own.

    By PATCH and an empty PUT where the registry does not take it so.
    """
    registry = target.registry
    opening: RegistryError | None = None

    async def opened() -> UploadSession:
        nonlocal session, opening
        current, session = session, None
        if current is None:
            try:
                current = await UploadSession.start(target, digest)
            except RegistryError as error:
                opening = error
                raise
        opening = None
        return current

    async def whole() -> None:
        await (await opened()).commit(body)

    async def patched() -> None:
        if opening is not None:
            raise opening  # no session could be opened: there is no other way
        await registry.retrying(by_patch)

    async def by_patch() -> None:
        current = await opened()
        if body:
            ranged = registry.capabilities.chunk_bytes is not None
            await current.send(in_pieces(body), len(body), ranged=ranged, fresh=False)
        await current.commit()

    if registry.capabilities.whole_put is False and not registry.capabilities.refusals.get(
        OptionalRequest.WHOLE_PUT.value
    ):
        await registry.retrying(whole)  # refused for large blobs, which says nothing of small ones
        return
    await registry.prefer(OptionalRequest.WHOLE_PUT, lambda: registry.retrying(whole), patched)


async def _read_small(source: RepositoryApi, descriptor: Descriptor) -> bytes:
    digest = parse_digest(descriptor.digest)
    if descriptor.size == 0:
        body = b""
    elif descriptor.data is not None:
        body = descriptor.data
    else:
        context = source.context("reading the blob", descriptor.digest)
        url = f"{source.base}/blobs/{descriptor.digest}"
        request = Request("GET", url, context, source.pull, as_stored=True, proved=True)
        response = await source.registry.call(request, (200,), descriptor.size + (64 << 10))
        body = blob_bytes(response, descriptor)
    if len(body) != descriptor.size:
        what = f"the registry sent {len(body)} bytes"
        raise source.mismatch(descriptor, what, transient=len(body) < descriptor.size)
    if not digest.matches(body):
        raise source.mismatch(descriptor, "its bytes have another digest", transient=True)
    return body


class BlobStream:
    """A blob's bytes from the source, which can go back to where a broken upload resumes.

    Every byte is hashed when it first passes. `failed` is the source's error, so that a failure
    of the source is not taken for one of the target.
    """

    def __init__(
        self,
        source: RepositoryApi,
        descriptor: Descriptor,
        progress: Progress | None,
        throttle: Throttle | None = None,
    ) -> None:
        self._source = source
        self._descriptor = descriptor
        self._progress = progress
        self._throttle = throttle
        self._digest = parse_digest(descriptor.digest)
        self._hasher = self._digest.hasher()
        self._hashed = 0
        self._reported = 0
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._read_to = 0  # of the source
        self._ahead: deque[bytes] = deque()  # given out before the source is read again
        self._behind: deque[bytes] = deque()  # given out already; ends at `position`
        self._kept = 0
        self._generation = 0
        self._reading = asyncio.Lock()
        self.position = 0
        self.failed: RegistryError | None = None

    async def prefetch(self) -> None:
        """Have the first bytes ready. Errors surface where they are taken."""
        async with self._reading:
            if self._read_to == 0 and not self._ahead:
                with suppress(RegistryError):  # kept in `failed`
                    await self._read()

    async def take(self, length: int) -> AsyncIterator[bytes]:
        """The next `length` bytes, in pieces of any size.

        It ends early once `go_to` was called: the body of a failed request may still be read for
        a while, and must not take bytes away from the next one.
        """
        left, generation = length, self._generation
        while left:
            async with self._reading:
                if generation == self._generation and not self._ahead:
                    await self._read()
                if generation != self._generation:
                    return
                piece = self._ahead.popleft()
                if len(piece) > left:
                    self._ahead.appendleft(piece[left:])
                    piece = piece[:left]
                left -= len(piece)
                self._given(piece)
            yield piece

    async def go_to(self, offset: int) -> None:
        """Continue at `offset`: from what was kept, else by reading the source again."""
        self._generation += 1
        async with self._reading:
            await self._rewind(offset)
        if self.position < offset <= self._read_to:
            async for _ in self.take(offset - self.position):
                continue

    async def _rewind(self, offset: int) -> None:
        while self.position > offset and self._behind:
            piece = self._behind.pop()
            self._kept -= len(piece)
            self._ahead.appendleft(piece)
            self.position -= len(piece)
        if not self.position <= offset <= self._read_to:
            await self.aclose()
            self._ahead.clear()
            self._behind.clear()
            self._kept = 0
            self.position = self._read_to = offset
            if offset == 0:
                self._hasher = self._digest.hasher()
                self._hashed = 0

    def check(self) -> None:
        """Raise DigestMismatch unless every byte has passed and matches the digest."""
        if self._hashed != self._descriptor.size:
            raise self._source.mismatch(self._descriptor, f"{self._hashed} bytes were read")
        if self._hasher.hexdigest() != self._digest.encoded:
            what = "its bytes have another digest"
            raise self._source.mismatch(self._descriptor, what, transient=True)

    async def aclose(self) -> None:
        """Close the source's connection."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            await pieces.aclose()

    async def _read(self) -> None:
        """One more piece of the source, to `_ahead`."""
        if self.failed is not None:
            raise self.failed
        if self._pieces is None:
            start, end = self._read_to, self._descriptor.size
            self._pieces = read_fast(BlobReader(self._source, self._descriptor), start, end)
        try:
            piece = await anext(self._pieces, b"")
            if not piece:
                raise self._source.mismatch(self._descriptor, f"it ended after {self._read_to}")
            if self._throttle is not None:
                await self._throttle(len(piece))
        except BaseException as error:
            # The piece in hand is lost: the next read starts again where this one did.
            await self.aclose()
            if isinstance(error, RegistryError):
                self.failed = error
            raise
        if self._read_to + len(piece) > self._hashed:
            self._hasher.update(memoryview(piece)[max(0, self._hashed - self._read_to) :])
            self._hashed = self._read_to + len(piece)
        self._read_to += len(piece)
        if self._read_to == self._descriptor.size:
            # Without its last piece a corrupt blob cannot be complete anywhere.
            try:
                self.check()
            except RegistryError as error:
                self.failed = error
                raise
        self._ahead.append(piece)

    def _given(self, piece: bytes) -> None:
        self.position += len(piece)
        self._behind.append(piece)
        self._kept += len(piece)
        while self._kept > _KEPT and len(self._behind) > 1:
            self._kept -= len(self._behind.popleft())
        if self._progress is not None and self.position > self._reported:
            self._progress(self.position - self._reported)
            self._reported = self.position
