"""Copying a blob from one repository to another: the hot path.

    inline or empty   no download
    small             read whole, then POST and PUT, or one POST where the registry takes it
    large             streamed: POST, PATCH, PUT; in chunks where the registry wants them

The digest is checked before the upload is committed. What is held of a large blob is bounded by
the buffers of its two connections and feeds.py, whatever its size.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from flows.registry.client import Ask
from flows.registry.descriptors import Descriptor
from flows.registry.digests import parse_digest
from flows.registry.downloads import mismatch
from flows.registry.errors import (
    Denied,
    NotFound,
    RegistryError,
    RequestRefused,
    Unauthorized,
)
from flows.registry.feeds import Feed
from flows.registry.uploads import Upload, post_whole

if TYPE_CHECKING:
    from flows.registry.repository import Repository

SMALL: Final = 1 << 20  # bytes: up to here a blob is held whole
_CHUNK: Final = 16 << 20  # for a registry that refuses a whole body; under Azure's 20 MB
_LEAST_LINE: Final = 1 << 20  # a connection that breaks sooner than this is no line but a failure
_WANTS_CHUNKS: Final = frozenset({400, 411, 413, 416, 501, 505})

Progress = Callable[[int], None]


async def copy_blob(
    source: Repository,
    target: Repository,
    descriptor: Descriptor,
    *,
    progress: Progress | None = None,
) -> None:
    """Bring a blob from `source` to `target`; it is not looked for there first.

    progress: called with the number of bytes that have newly gone out.
    Raises DigestMismatch before anything is committed when the bytes are not what the descriptor
    says, and any other error of the tree when retries have not helped.
    """
    if descriptor.size <= SMALL:
        await _copy_small(source, target, descriptor)
        if progress is not None and descriptor.size:
            progress(descriptor.size)
        return
    async with target.registry.uploads.slot(), source.registry.downloads.slot():
        feed = Feed(source, descriptor, progress)
        try:
            await _Streaming(target, descriptor, feed).run()
        finally:
            await feed.aclose()


async def _copy_small(source: Repository, target: Repository, descriptor: Descriptor) -> None:
    abilities = target.registry.abilities
    tries_post = abilities.single_post is True or (
        abilities.single_post is None and target.registry.first_try("single_post")
    )
    session: asyncio.Task[Upload] | None = None
    if not tries_post:
        session = asyncio.create_task(Upload.begin(target, descriptor.digest))
    try:
        body = await _read_small(source, descriptor)
        if tries_post:
            upload = await post_whole(target, descriptor.digest, body)
            abilities.single_post = upload is None
            if upload is None:
                return
        elif session is not None:
            upload = await session
        await _put_small(target, descriptor.digest, body, upload)
    finally:
        if session is not None and not session.done():
            session.cancel()
            await asyncio.wait([session])


async def _put_small(target: Repository, digest: str, body: bytes, upload: Upload | None) -> None:
    """PUT the whole body; after a failure the session is in doubt, so each try has its own."""

    async def once() -> None:
        nonlocal upload
        session, upload = upload, None
        if session is None:
            session = await Upload.begin(target, digest)
        await session.commit(body)

    await target.registry.retrying(once)


async def _read_small(source: Repository, descriptor: Descriptor) -> bytes:
    digest = parse_digest(descriptor.digest)
    if descriptor.size == 0:
        body = b""
    elif descriptor.data is not None:
        body = descriptor.data
    else:
        where = source.where("reading the blob", descriptor.digest)
        ask = Ask("GET", f"{source.base}/blobs/{descriptor.digest}", where, source.pull)
        answer = await source.registry.call(ask, (200,), descriptor.size + 1)
        body = answer.body
    if len(body) != descriptor.size:
        raise mismatch(source, descriptor, f"the registry sent {len(body)} bytes")
    if not digest.matches(body):
        raise mismatch(source, descriptor, "its bytes have another digest")
    return body


class _Streaming:
    """One large blob: sessions are opened, resumed and replaced until it is stored."""

    def __init__(self, target: Repository, descriptor: Descriptor, feed: Feed) -> None:
        self._target = target
        self._registry = target.registry
        self._descriptor = descriptor
        self._feed = feed
        self._upload: Upload | None = None
        self._furthest = 0
        self._failures = 0
        self._sessions = 0
        self._renewed = False
        self._sent_since = 0  # where the connection in use began

    async def run(self) -> None:
        while True:
            try:
                await self._session()
                return
            except RegistryError as error:
                if self._feed.failed is not None:
                    await self._drop()
                    raise self._feed.failed from None
                wait = await self._verdict(error)
                if wait is None:
                    await self._drop()
                    raise
            await self._registry.clock.sleep(wait)
            await self._recover()

    async def _session(self) -> None:
        """Send what is left, then commit."""
        size = self._descriptor.size
        if self._upload is None:
            self._sessions += 1
            self._upload = await Upload.begin(self._target, self._descriptor.digest)
            await self._feed.go_to(0)
        upload, abilities = self._upload, self._registry.abilities
        while upload.offset < size:
            await self._feed.go_to(upload.offset)
            chunk, line = abilities.chunk_bytes, self._registry.line.piece
            if chunk or line:
                chunk = max(min(chunk or size, line or size), upload.least_chunk)
            length = min(chunk or size, size - upload.offset)
            self._sent_since = upload.offset
            await upload.send(
                self._feed.take(length),
                length,
                ranged=chunk is not None or upload.offset > 0,
                fresh=line is not None,
            )
            if upload.offset > self._feed.position:
                raise mismatch(self._target, self._descriptor, "the registry claims to hold more")
        self._feed.check()
        await upload.commit()

    async def _verdict(self, error: RegistryError) -> float | None:
        """Seconds until another try, None for none; learns from how the last one failed."""
        abilities = self._registry.abilities
        refused = isinstance(error, RequestRefused) and error.status in _WANTS_CHUNKS
        if refused and abilities.chunk_bytes is None:
            abilities.chunk_bytes = _CHUNK
            await self._drop()
            return 0.0
        if refused and error.status == 413 and (abilities.chunk_bytes or 0) > _LEAST_LINE:
            abilities.chunk_bytes = (abilities.chunk_bytes or _CHUNK) // 2
            await self._drop()
            return 0.0
        if isinstance(error, Unauthorized) and not isinstance(error, Denied) and not self._renewed:
            self._renewed = True  # the token ended while a body was on its way
            return 0.0
        lost = isinstance(error, NotFound) or refused
        if self._feed.position - self._furthest >= _LEAST_LINE:
            self._failures = 0
        self._furthest = max(self._furthest, self._feed.position)
        self._failures += 1
        if lost:
            self._upload = None
            error.transient = True
        if self._sessions > self._registry.retry.attempts:
            return None
        return self._registry.wait_after(error, self._failures)

    async def _recover(self) -> None:
        """Find out where the session stands; without one, begin anew the next time."""
        if self._upload is None:
            return
        broke_after = self._feed.position - self._sent_since
        try:
            resumed = await self._upload.resume()
        except RegistryError:
            resumed = False
        if resumed:
            self._registry.abilities.resumable = True
            return
        self._upload = None
        if broke_after >= _LEAST_LINE and self._feed.position < self._descriptor.size:
            # The registry cannot go on after a break, so the next upload must not be broken:
            # pieces well under what this connection carried, each over a connection of its own.
            self._registry.abilities.resumable = False
            self._registry.line.broke(broke_after, costly=True)

    async def _drop(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.cancel()
