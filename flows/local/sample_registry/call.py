"""One request as the sample registry's handlers see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from flows.local.sample_registry.replies import RefusalError
from flows.local.sample_registry.store import RepositoryStore, Store


@dataclass(frozen=True)
class Call:
    """A request and what it acts on.

    `repository` is "" where the path has none, `reference` the last part of the path (a tag, a
    digest or an upload's id). `accepts` are the media types of Accept. `body` reads the request's
    body once.
    """

    method: str
    repository: str
    reference: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    accepts: frozenset[str]
    store: Store
    body: Callable[[], AsyncIterator[bytes]]

    @property
    def held(self) -> RepositoryStore:
        """The repository; 404 NAME_UNKNOWN when nothing was ever pushed there."""
        held = self.store.repositories.get(self.repository)
        if held is None:
            raise RefusalError(
                404,
                "NAME_UNKNOWN",
                "repository name not known to registry",
                detail={"name": self.repository},
            )
        return held

    async def read(self, limit: int) -> bytes:
        """The whole body, at most `limit` bytes; 413 beyond."""
        body = bytearray()
        async for chunk in self.body():
            body += chunk
            if len(body) > limit:
                raise RefusalError(
                    413, "SIZE_INVALID", f"the body is larger than the {limit} bytes allowed"
                )
        return bytes(body)
