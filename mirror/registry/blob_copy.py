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
from collections.abc import Callable
from typing import Final

from mirror.registry.blob_source import SMALL
from mirror.registry.blob_stream import BlobStream, Progress, Throttle
from mirror.registry.blob_upload import StreamedUpload
from mirror.registry.http import OptionalRequest, in_pieces
from mirror.registry.registry import Repository
from mirror.registry.repository_api import RepositoryApi
from mirror.registry.spec import (
    Descriptor,
    DigestMismatch,
    RegistryError,
)
from mirror.registry.upload_session import UploadSession, post_whole

_PLAIN: Final = 8  # small blobs before one tries a single POST: a lone tag need not wait for it
_GARBLED: Final = 2  # times that a blob is fetched again when it arrived garbled


async def copy_blob(
    source: Repository,
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
    source: Repository,
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


async def _copy_small(source: Repository, target: RepositoryApi, descriptor: Descriptor) -> None:
    capabilities = target.registry.capabilities
    tries_post = capabilities.single_post is True or (
        capabilities.single_post is None
        and target.registry.may_attempt("single_post", after=_PLAIN)
    )
    opening: asyncio.Task[UploadSession] | None = None
    if not tries_post:
        opening = asyncio.create_task(UploadSession.start(target, descriptor.digest))
    try:
        body = await source.small_blob(descriptor)
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
