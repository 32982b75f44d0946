"""Uploading one large blob: sessions are opened, resumed and replaced until it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Protocol

from mirror.registry.http import OptionalRequest, means_another_way
from mirror.registry.repository_api import RepositoryApi
from mirror.registry.spec import (
    ConnectionFailed,
    Denied,
    Descriptor,
    NotFound,
    ProtocolError,
    RegistryError,
    RequestRefused,
    Unauthorized,
)
from mirror.registry.upload_session import UploadSession

_CHUNK: Final = 16 << 20  # for a registry that refuses a whole body; under Azure's 20 MB
_LEAST_CHUNK: Final = 1 << 20
_PROGRESS: Final = 1 << 20  # bytes further than ever before: failures are counted anew
_WANTS_CHUNKS: Final = frozenset({400, 411, 413, 416, 501, 505})
_SMALLER_CHUNKS: Final = frozenset({413, 416})  # 416: GHCR, for a chunk above 4 MiB


class RewindableStream(Protocol):
    """The bytes of a blob in order, which can go back to where a broken upload resumes.

    position: offset of the next byte. failed: the error of the stream itself, once it has failed.
    """

    position: int
    failed: RegistryError | None

    def take(self, length: int) -> AsyncIterator[bytes]:
        """The next `length` bytes, in pieces of any size."""

    async def go_to(self, offset: int) -> None:
        """Continue at `offset`."""

    def check(self) -> None:
        """Raise DigestMismatch unless every byte has passed and matches the digest."""


class StreamedUpload:
    """Writes a stream to a target, in one request where that is allowed.

    distribution-spec v1.1, "Pushing a blob monolithically" and "in chunks". What the registry
    turns out to want is noted in its capabilities, and how its connections break in its health.
    """

    def __init__(
        self, target: RepositoryApi, descriptor: Descriptor, stream: RewindableStream
    ) -> None:
        self._target = target
        self._registry = target.registry
        self._descriptor = descriptor
        self._stream = stream
        self._session: UploadSession | None = None
        self._sessions = 0
        self._furthest = 0
        self._failures = 0
        self._started_at = 0  # the offset at which the request in progress started
        self._committing = False
        self._whole = False  # the request in progress carries the whole blob and closes the session
        self._renewed = False
        self._unchunked = False

    async def run(self) -> None:
        """Upload until the blob is stored; raises the source's or the target's error."""
        while True:
            try:
                await self._send()
                return
            except asyncio.CancelledError:  # nobody will continue it: the registry need not keep it
                await self._drop()
                raise
            except RegistryError as error:
                if self._stream.failed is not None:
                    await self._drop()
                    raise self._stream.failed from None
                wait = await self._judge(error)
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
        if self._session is None:
            self._sessions += 1
            self._session = await UploadSession.start(self._target, self._descriptor.digest)
        session = self._session
        while session.offset < size:
            await self._stream.go_to(session.offset)
            chunk, piece = self._registry.capabilities.chunk_bytes, self._registry.health.piece
            if self._may_be_whole(session):
                self._started_at, self._committing, self._whole = 0, True, True
                await session.send_whole(self._stream.take(size), size)
                self._registry.capabilities.whole_put = True
                return
            if chunk or piece:
                chunk = max(min(chunk or size, piece or size), session.least_chunk)
            length = min(chunk or size, size - session.offset)
            self._started_at = session.offset
            await session.send(
                self._stream.take(length),
                length,
                ranged=chunk is not None or session.offset > 0,
                fresh=piece is not None,
            )
            self._check_offset(session.offset, length)
        self._stream.check()
        self._committing = True
        await session.commit()

    def _may_be_whole(self, session: UploadSession) -> bool:
        """Whether to send all of it with the closing PUT, which saves a round trip.

        Where that fails the blob goes by PATCH, which can be resumed.
        """
        capabilities = self._registry.capabilities
        return (
            session.offset == 0
            and capabilities.whole_put is not False
            and capabilities.chunk_bytes is None
            and self._registry.health.piece is None
        )

    def _check_offset(self, offset: int, length: int) -> None:
        if offset > self._started_at + length:
            raise self._target.mismatch(self._descriptor, f"the registry claims {offset} of them")
        if offset <= self._started_at:
            raise self._target.context("", self._descriptor.digest).error(
                ProtocolError,
                f"the registry took {length} bytes of the blob and holds no more than before",
            )

    async def _judge(self, error: RegistryError) -> float | None:
        """Seconds until the next attempt, None for none; learns from how the last one failed."""
        whole, self._whole = self._whole, False
        expired = isinstance(error, Unauthorized) and not isinstance(error, Denied)
        if expired and not self._renewed:
            self._renewed = True  # the token expired during a body
            self._committing = False
            return 0.0
        if whole:
            if means_another_way(OptionalRequest.WHOLE_PUT, error):
                now = self._registry.clock.now()
                self._registry.capabilities.remember(OptionalRequest.WHOLE_PUT, error, now)
            if not error.transient and error.status and self._another_way(error):
                self._committing = False
                await self._drop()
                return 0.0
        refused = isinstance(error, RequestRefused) and error.status in _WANTS_CHUNKS
        if refused and self._smaller(error.status):
            self._committing = False  # such a response means that nothing was stored
            await self._drop()
            return 0.0
        if isinstance(error, RequestRefused) and self._forgets_chunks():
            self._committing = False
            await self._drop()
            return 0.0
        if self._stream.position - self._furthest >= _PROGRESS:
            self._failures = 0
        self._furthest = max(self._furthest, self._stream.position)
        self._failures += 1
        if self._session is not None and isinstance(error, NotFound):
            self._session = None  # the registry has lost it
            error.transient = True
        if self._sessions > self._registry.retry.attempts:
            return None
        return self._registry.wait_after(error, self._failures)

    @staticmethod
    def _another_way(error: RegistryError) -> bool:
        """Whether a PATCH may do where the whole PUT was refused."""
        return (
            means_another_way(OptionalRequest.WHOLE_PUT, error)
            and error.code != "DIGEST_INVALID"
            and error.status not in _WANTS_CHUNKS
        )

    def _smaller(self, status: int | None) -> bool:
        """Whether to try (smaller) chunks, where the registry refused what was sent."""
        capabilities = self._registry.capabilities
        known = capabilities.chunk_bytes
        if known is None:
            capabilities.chunk_bytes = _CHUNK
            return True
        if status in _SMALLER_CHUNKS and known > _LEAST_CHUNK:
            capabilities.chunk_bytes = known // 2
            return True
        return False

    def _forgets_chunks(self) -> bool:
        """Whether to go without chunks again, where the registry refused one that is not the first.

        Something asked for chunks once, perhaps a proxy for a moment; the registry takes none.
        """
        if self._unchunked or not self._started_at or not self._registry.capabilities.chunk_bytes:
            return False
        self._registry.capabilities.chunk_bytes = None
        self._unchunked = True
        return True

    async def _recovered(self, error: RegistryError) -> bool:
        """Find out what the registry holds after a failure; True when the blob is stored."""
        if self._committing:
            self._committing = False
            held = await self._target.head_blob(self._descriptor.digest, self._descriptor.size)
            if held == self._descriptor.size:
                return True
        if self._session is None:
            return False
        try:
            resumed = await self._session.resume()
        except RegistryError:
            resumed = False
        if resumed:
            self._registry.capabilities.resumable = True
            return False
        self._session = None
        broke_after = self._stream.position - self._started_at
        if isinstance(error, ConnectionFailed) and self._stream.position < self._descriptor.size:
            # The registry cannot resume after a break, so the next upload must not be broken:
            # pieces well under what this connection carried, each over a separate connection.
            self._registry.capabilities.resumable = False
            self._registry.health.record_break(broke_after, costly=True)
        return False

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.cancel()
