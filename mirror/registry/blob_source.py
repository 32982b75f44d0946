"""A blob at its source, as a copy reads it."""

from __future__ import annotations

from typing import Final, Protocol

from mirror.registry.blob_download import BlobReader, Pieces
from mirror.registry.blob_ranges import read_fast
from mirror.registry.http import Request
from mirror.registry.repository_api import RepositoryApi, blob_bytes
from mirror.registry.spec import Descriptor, parse_digest

SMALL: Final = 1 << 20  # bytes: up to this size a blob is held whole


class OpenBlob(Protocol):
    """The bytes of one blob, which may be read more than once. They are not verified."""

    def read(self, start: int, end: int) -> Pieces:
        """The bytes [start, end), in pieces of any size. Raises RegistryError."""

    def discard(self) -> None:
        """Report that the bytes do not match the digest: what is kept of them is useless."""


class RemoteBlob:
    """An OpenBlob that asks the registry at every reading."""

    def __init__(self, repository: RepositoryApi, descriptor: Descriptor) -> None:
        self._repository = repository
        self._descriptor = descriptor

    def read(self, start: int, end: int) -> Pieces:
        """The bytes [start, end), over as many connections as pay. Raises RegistryError."""
        return read_fast(BlobReader(self._repository, self._descriptor), start, end)

    def discard(self) -> None:
        """Nothing is kept."""


async def read_small(source: RepositoryApi, descriptor: Descriptor) -> bytes:
    """A blob of at most SMALL bytes, verified.

    Raises DigestMismatch for other bytes than the descriptor says, and other RegistryErrors.
    """
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
