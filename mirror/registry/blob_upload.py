"""One large blob on its way: sessions are opened, resumed and replaced until it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mirror.registry.blob_download import mismatch
from mirror.registry.descriptor import Descriptor
from mirror.registry.errors import (
    ConnectionFailed,
    Denied,
    NotFound,
    ProtocolError,
    RegistryError,
    RequestRefused,
    Unauthorized,
)
from mirror.registry.feeds import Feed
from mirror.registry.upload_session import Upload

if TYPE_CHECKING:
    from mirror.registry.repository import Repository

_CHUNK: Final = 16 << 20  # for a registry that refuses a whole body; under Azure's 20 MB
_LEAST_CHUNK: Final = 1 << 20
_PROGRESS: Final = 1 << 20  # bytes further than ever before: failures are counted anew
_WANTS_CHUNKS: Final = frozenset({400, 411, 413, 416, 501, 505})
_SMALLER_CHUNKS: Final = frozenset({413, 416})  # 416: GHCR, for a chunk above 4 MiB


class StreamedUpload:
    """Writes the bytes of a feed to a target, in one request where that is allowed.

    distribution-spec v1.1, "Pushing a blob monolithically" and "in chunks". What the registry
    turns out to want is noted in its abilities, and how its line breaks in its line.
    """

    def __init__(self, target: Repository, descriptor: Descriptor, feed: Feed) -> None:
        self._target = target
        self._registry = target.registry
        self._descriptor = descriptor
        self._feed = feed
        self._upload: Upload | None = None
        self._sessions = 0
        self._furthest = 0
        self._failures = 0
        self._begun_at = 0  # the offset at which the request under way began
        self._committing = False
        self._whole = False  # the request under way carries all of the blob and closes the session
        self._renewed = False

    async def run(self) -> None:
        """Until the blob is stored; raises the source's or the target's error."""
        while True:
            try:
                await self._send()
                return
            except RegistryError as error:
                if self._feed.failed is not None:
                    await self._drop()
                    raise self._feed.failed from None
                wait = await self._verdict(error)
                if wait is None:
                    await self._drop()
                    raise
                failed = error
            await self._registry.clock.sleep(wait)
            if await self._recovered(failed):
                return

    async def _send(self) -> None:
        """Send what is left, then commit."""
        size = self._descriptor.size
        if self._upload is None:
            self._sessions += 1
            self._upload = await Upload.begin(self._target, self._descriptor.digest)
        upload = self._upload
        while upload.offset < size:
            await self._feed.go_to(upload.offset)
            chunk, line = self._registry.abilities.chunk_bytes, self._registry.line.piece
            if self._may_be_whole(upload):
                self._begun_at, self._committing, self._whole = 0, True, True
                await upload.send_whole(self._feed.take(size), size)
                self._registry.abilities.whole_put = True
                return
            if chunk or line:
                chunk = max(min(chunk or size, line or size), upload.least_chunk)
            length = min(chunk or size, size - upload.offset)
            self._begun_at = upload.offset
            await upload.send(
                self._feed.take(length),
                length,
                ranged=chunk is not None or upload.offset > 0,
                fresh=line is not None,
            )
            self._check_offset(upload.offset, length)
        self._feed.check()
        self._committing = True
        await upload.commit()

    def _may_be_whole(self, upload: Upload) -> bool:
        """Whether to send all of it with the closing PUT, which saves a round trip.

        Where that fails the blob goes by PATCH, which can go on from where it broke.
        """
        abilities, line = self._registry.abilities, self._registry.line
        return (
            upload.offset == 0
            and abilities.whole_put is not False
            and abilities.chunk_bytes is None
            and line.piece is None
        )

    def _check_offset(self, offset: int, length: int) -> None:
        if offset > self._begun_at + length:
            raise mismatch(self._target, self._descriptor, f"the registry claims {offset} of them")
        if offset <= self._begun_at:
            raise ProtocolError(
                f"{self._registry.host}/{self._target.name}: the registry took {length} bytes of"
                f" blob {self._descriptor.digest} and holds no more than before",
                registry=self._registry.host,
                repository=self._target.name,
                reference=self._descriptor.digest,
            )

    async def _verdict(self, error: RegistryError) -> float | None:
        """Seconds until another try, None for none; learns from how the last one failed."""
        whole, self._whole = self._whole, False
        expired = isinstance(error, Unauthorized) and not isinstance(error, Denied)
        if expired and not self._renewed:
            self._renewed = True  # the token ended while a body was on its way
            self._committing = False
            return 0.0
        if whole:
            self._registry.abilities.whole_put = False
        refused = isinstance(error, RequestRefused) and error.status in _WANTS_CHUNKS
        if refused and self._smaller(error.status):
            self._committing = False  # it says itself that nothing was stored
            await self._drop()
            return 0.0
        if self._feed.position - self._furthest >= _PROGRESS:
            self._failures = 0
        self._furthest = max(self._furthest, self._feed.position)
        self._failures += 1
        if self._upload is not None and isinstance(error, NotFound):
            self._upload = None  # the registry has lost the session
            error.transient = True
        if self._sessions > self._registry.retry.attempts:
            return None
        return self._registry.wait_after(error, self._failures)

    def _smaller(self, status: int | None) -> bool:
        """Whether to try (smaller) chunks, where the registry refused what was sent."""
        abilities = self._registry.abilities
        known = abilities.chunk_bytes
        if known is None:
            abilities.chunk_bytes = _CHUNK
            return True
        if status in _SMALLER_CHUNKS and known > _LEAST_CHUNK:
            abilities.chunk_bytes = known // 2
            return True
        return False

    async def _recovered(self, error: RegistryError) -> bool:
        """Find out where things stand after a failure; True when the blob is stored after all."""
        if self._committing:
            self._committing = False
            if await self._target.head_blob(self._descriptor.digest) == self._descriptor.size:
                return True
        if self._upload is None:
            return False
        try:
            resumed = await self._upload.resume()
        except RegistryError:
            resumed = False
        if resumed:
            self._registry.abilities.resumable = True
            return False
        self._upload = None
        broke_after = self._feed.position - self._begun_at
        if isinstance(error, ConnectionFailed) and self._feed.position < self._descriptor.size:
            # The registry cannot go on after a break, so the next upload must not be broken:
            # pieces well under what this connection carried, each over a connection of its own.
            self._registry.abilities.resumable = False
            self._registry.line.broke(broke_after, costly=True)
        return False

    async def _drop(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.cancel()
