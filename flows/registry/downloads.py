"""Reading blobs: streamed, resumed by Range where a connection broke, checked on the way."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from flows.registry import headers
from flows.registry.client import Ask
from flows.registry.descriptors import Descriptor
from flows.registry.digests import parse_digest
from flows.registry.errors import DigestMismatch, ProtocolError, RegistryError

if TYPE_CHECKING:
    import httpx

    from flows.registry.repository import Repository

_PROGRESS: Final = 256 << 10  # a try that brought this much does not count against the policy


async def read_range(
    repository: Repository, descriptor: Descriptor, start: int, end: int
) -> AsyncGenerator[bytes, None]:
    """The bytes [start, end) of a blob, resumed as often as the policy and progress allow.

    distribution-spec v1.1, "Pulling blobs"; RFC 9110, 14.2. Raises BlobUnknown, DigestMismatch
    when the blob ends before `end` or is longer than the descriptor says.
    """
    registry = repository.registry
    position, made = start, 0
    while position < end:
        begun = position
        try:
            async with aclosing(_once(repository, descriptor, position, end)) as pieces:
                async for piece in pieces:
                    position += len(piece)
                    yield piece
            if position < end:
                raise _short(repository, descriptor, position)
        except RegistryError as error:
            made = 1 if position - begun >= _PROGRESS else made + 1
            wait = registry.wait_after(error, made)
            if wait is None:
                raise
            await registry.clock.sleep(wait)


async def read_blob(
    repository: Repository, descriptor: Descriptor, start: int = 0
) -> AsyncGenerator[bytes, None]:
    """A blob from `start` to its end; read from 0 its digest is checked."""
    digest = parse_digest(descriptor.digest)
    hasher = digest.hasher()
    async with (
        repository.registry.downloads.slot(),
        aclosing(read_range(repository, descriptor, start, descriptor.size)) as pieces,
    ):
        async for piece in pieces:
            hasher.update(piece)
            yield piece
    if start == 0 and hasher.hexdigest() != digest.encoded:
        raise mismatch(repository, descriptor, "its bytes have another digest")


async def _once(
    repository: Repository, descriptor: Descriptor, start: int, end: int
) -> AsyncGenerator[bytes, None]:
    """One connection's worth of [start, end)."""
    whole = start == 0 and end == descriptor.size
    sent = {} if whole else {"Range": f"bytes={start}-{end - 1}"}
    where = repository.where("reading the blob", descriptor.digest)
    ask = Ask("GET", f"{repository.base}/blobs/{descriptor.digest}", where, repository.pull, sent)
    async with repository.registry.open(ask, (200, 206)) as response:
        skip = _skipped(repository, descriptor, response, start, end)
        left = end - start
        async with aclosing(_pieces(response)) as pieces:
            async for piece in pieces:
                if skip:
                    dropped = min(skip, len(piece))
                    skip -= dropped
                    piece = piece[dropped:]
                    if not piece:
                        continue
                if len(piece) > left:
                    if end == descriptor.size:
                        raise mismatch(repository, descriptor, "it is longer than that")
                    yield piece[:left]
                    return
                left -= len(piece)
                yield piece


async def _pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    async for piece in response.aiter_raw():
        if piece:
            yield piece


def _skipped(
    repository: Repository, descriptor: Descriptor, response: httpx.Response, start: int, end: int
) -> int:
    """Bytes to pass over before the wanted ones begin.

    A registry that ignores Range answers 200 and begins at zero.
    """
    abilities = repository.registry.abilities
    if response.status_code == 200:
        stated = headers.length(response.headers.get("content-length"))
        if stated is not None and stated != descriptor.size:
            raise mismatch(repository, descriptor, f"the registry sends {stated} bytes")
        if start or end != descriptor.size:
            abilities.ranges = False
        return start
    found = headers.content_range(response.headers.get("content-range"))
    if found is None or found.start != start:
        raise ProtocolError(
            f"{repository.registry.host}/{repository.name}: the registry was asked for the bytes"
            f" {start}-{end - 1} of blob {descriptor.digest} and sends others",
            registry=repository.registry.host,
            repository=repository.name,
            reference=descriptor.digest,
            transient=True,
        )
    if found.total is not None and found.total != descriptor.size:
        raise mismatch(repository, descriptor, f"the registry holds {found.total} bytes")
    abilities.ranges = True
    return 0


def _short(repository: Repository, descriptor: Descriptor, position: int) -> DigestMismatch:
    error = mismatch(repository, descriptor, f"it ended after {position}")
    error.transient = True
    return error


def mismatch(repository: Repository, descriptor: Descriptor, what: str) -> DigestMismatch:
    """The error of a blob that is not what its descriptor says."""
    return DigestMismatch(
        f"{repository.registry.host}/{repository.name}: blob {descriptor.digest} of"
        f" {descriptor.size} bytes: {what}",
        registry=repository.registry.host,
        repository=repository.name,
        reference=descriptor.digest,
    )
