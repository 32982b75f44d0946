"""Copying a blob from one repository to another: the hot path.

    inline or empty   no download
    small             read whole, then POST and PUT, or one POST where the registry takes it
    large             streamed: POST and PUT; with PATCH between, where all in the PUT does not go
                      or broke; in chunks where the registry wants them

The digest is checked before the upload is committed. What is held of a large blob is bounded by
the buffers of its two connections and feeds.py, whatever its size.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mirror.registry.blob_download import mismatch
from mirror.registry.blob_upload import StreamedUpload
from mirror.registry.descriptor import Descriptor
from mirror.registry.digest import parse_digest
from mirror.registry.feeds import Feed, Pace
from mirror.registry.http import Ask
from mirror.registry.upload_session import Upload, post_whole

if TYPE_CHECKING:
    from mirror.registry.repository import Repository

SMALL: Final = 1 << 20  # bytes: up to here a blob is held whole

Progress = Callable[[int], None]


async def copy_blob(
    source: Repository,
    target: Repository,
    descriptor: Descriptor,
    *,
    progress: Progress | None = None,
    pace: Pace | None = None,
) -> None:
    """Bring a blob from `source` to `target`; it is not looked for there first.

    progress: called with the number of bytes that have newly gone out. pace: awaited with the
    number of bytes that came from the source, before they go on; it may take its time.
    Raises DigestMismatch before anything is committed when the bytes are not what the descriptor
    says, and any other error of the tree when retries have not helped.
    """
    if descriptor.size <= SMALL:
        if pace is not None:
            await pace(descriptor.size)
        await _copy_small(source, target, descriptor)
        if progress is not None and descriptor.size:
            progress(descriptor.size)
        return
    async with target.registry.uploads.slot(), source.registry.downloads.slot():
        feed = Feed(source, descriptor, progress, pace)
        # The source's first round trips pass while the target opens its session.
        begins = asyncio.create_task(feed.begin())
        try:
            await StreamedUpload(target, descriptor, feed).run()
        finally:
            begins.cancel()
            await asyncio.gather(begins, return_exceptions=True)
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
        if session is not None:
            session.cancel()
            await asyncio.gather(session, return_exceptions=True)


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
