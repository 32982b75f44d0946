"""Reading blobs: streamed, resumed where a connection broke, verified in passing.

distribution-spec v1.1, "Pulling blobs"; RFC 9110, 14.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import httpx

from mirror.registry.http import (
    ATTEMPTS,
    OptionalRequest,
    Request,
    address_of,
    headers,
    means_another_way,
)
from mirror.registry.repository_api import RepositoryApi
from mirror.registry.spec import (
    BlobUnknown,
    ConnectionFailed,
    Descriptor,
    DigestMismatch,
    ProtocolError,
    RegistryError,
    parse_digest,
)

_PROGRESS: Final = 256 << 10  # an attempt that brought this much does not count for the policy
Pieces = AsyncGenerator[bytes, None]


async def read_blob(repository: RepositoryApi, descriptor: Descriptor, start: int = 0) -> Pieces:
    """A blob from `start` to its end; read from 0 its digest is verified."""
    digest = parse_digest(descriptor.digest)
    hasher = digest.hasher()
    reader = BlobReader(repository, descriptor)
    async with (
        repository.registry.downloads.slot(),
        aclosing(reader.read(start, descriptor.size)) as pieces,
    ):
        async for piece in pieces:
            hasher.update(piece)
            yield piece
    if start == 0 and hasher.hexdigest() != digest.encoded:
        raise repository.mismatch(descriptor, "its bytes have another digest")


@dataclass(slots=True)
class BlobReader:
    """A blob at a registry. `place` is where a redirect led, to save the detour next time."""

    repository: RepositoryApi
    descriptor: Descriptor
    place: str | None = None

    async def read(self, start: int, end: int) -> Pieces:
        """The bytes [start, end), over one connection at a time, resumed where it breaks.

        Retried as often as the policy and progress allow. Raises BlobUnknown, and DigestMismatch
        when the blob ends before `end` or is longer than the descriptor says.
        """
        registry = self.repository.registry
        position, attempts = start, 0
        while position < end:
            started = position
            piece_end = min(end, position + (registry.health.piece or end))
            try:
                async with aclosing(self._once(position, piece_end)) as pieces:
                    async for piece in pieces:
                        position += len(piece)
                        registry.throughput.bytes += len(piece)
                        registry.health.hear()
                        yield piece
                if position < piece_end:
                    what = f"it ended after {position}"
                    raise self.repository.mismatch(self.descriptor, what, transient=True)
            except RegistryError as error:
                if isinstance(error, ConnectionFailed):
                    registry.health.record_break(position - started)
                attempts = 1 if position - started >= _PROGRESS else attempts + 1
                if self._does_without_ranges(error, attempts, started, piece_end):
                    attempts = 0
                    continue
                await registry.back_off(error, attempts)

    def _does_without_ranges(
        self, error: RegistryError, attempts: int, start: int, end: int
    ) -> bool:
        """Whether to read from the start of the blob, since asking for a range failed.

        Noted at once, since the request without a range is the only other way.
        """
        registry, way = self.repository.registry, OptionalRequest.RANGES
        ranged = (start, end) != (0, self.descriptor.size)
        if not ranged or way.value in registry.capabilities.refusals:
            return False
        if isinstance(error, BlobUnknown | DigestMismatch | ConnectionFailed):
            return False
        if not means_another_way(way, error) or (error.transient and attempts < ATTEMPTS):
            return False
        registry.capabilities.remember(way, error, registry.clock.now())
        return True

    async def _once(self, start: int, end: int) -> Pieces:
        """[start, end) over one connection."""
        registry, size = self.repository.registry, self.descriptor.size
        detour = self.place
        whole = OptionalRequest.RANGES.value in registry.capabilities.refusals
        request = Request(
            "GET",
            detour or f"{self.repository.base}/blobs/{self.descriptor.digest}",
            self.repository.context("reading the blob", self.descriptor.digest),
            self.repository.pull,
            {} if (start, end) == (0, size) or whole else {"Range": f"bytes={start}-{end - 1}"},
            fresh_connection=registry.health.piece is not None,
            proved=True,
        )
        try:
            async with registry.open(request, (200, 206)) as response:
                if not registry.authorizes(address_of(response)):
                    self.place = address_of(response)
                skip, left = self._skipped(response, start, end), end - start
                async for piece in response.aiter_raw():
                    if skip:
                        dropped = min(skip, len(piece))
                        skip -= dropped
                        piece = piece[dropped:]
                    if len(piece) > left:
                        if end == size:
                            raise self.repository.mismatch(self.descriptor, "it is longer")
                        yield piece[:left]
                        return
                    if piece:
                        left -= len(piece)
                        yield piece
        except RegistryError as error:
            if detour is not None and self.place == detour:
                self.place = None
                error.transient = True  # a signed address expires; the registry gives a new one
            raise

    def _skipped(self, response: httpx.Response, start: int, end: int) -> int:
        """Bytes to skip before the requested ones.

        A registry that ignores Range answers 200 and starts at zero.
        """
        size, registry = self.descriptor.size, self.repository.registry
        if response.headers.get("accept-ranges", "").strip().lower() == "bytes":
            registry.capabilities.ranges = True
        if response.status_code == 200:
            stated = headers.length(response.headers.get("content-length"))
            if stated is not None and stated != size:
                raise self.repository.mismatch(
                    self.descriptor, f"the registry sends {stated} bytes"
                )
            if (start, end) != (0, size):
                registry.capabilities.ranges = False
            return start
        found = headers.content_range(response.headers.get("content-range"))
        if found is None or found.start != start:
            raise self.repository.context("", self.descriptor.digest).error(
                ProtocolError,
                f"the registry sends other bytes of the blob than {start}-{end - 1}, which were"
                " requested",
                transient=True,
            )
        if found.total is not None and found.total != size:
            raise self.repository.mismatch(
                self.descriptor, f"the registry holds {found.total} bytes"
            )
        registry.capabilities.ranges = True
        return 0
