"""The beginning of a source's list of tags, asked for while the record is still being read.

Whatever the record says, a look at a source begins with its list: the round trips that this takes
need not wait for the database. Where the record turns out to know nothing, the first look at both
sides begins before the rest of it is written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Self

from mirror.registry import HubApi, HubPage, NotFound, RegistryError, Repository
from mirror.sync.underway import UnderWay

# Opened to the source at a first look, which will find something to read.
_CONNECTIONS = 16


class Ahead(UnderWay):
    """The list is on its way from entering on."""

    def __init__(self, source: Repository, hub: HubApi | None, *, full: bool = False) -> None:
        """full: the source's own list is wanted beside the web API's."""
        super().__init__()
        self.began = time.perf_counter()
        self._source = source
        self._full = full
        self._pages = hub.pages(source.name) if hub else None
        self._first: asyncio.Task[HubPage | None] | None = None
        self._names: asyncio.Task[list[str]] | None = None
        self._empty: asyncio.Task[bool] | None = None

    async def __aenter__(self) -> Self:
        if self._pages is not None:
            self._first = self._begin(_next(self._pages))
        if self._pages is None or self._full:
            self._names = self._begin(self._source.tags())
        else:  # the registry itself is asked where the web API has news
            self._begin(self._source.registry.connect(1))
        return self

    def look_at_all(self, target: Repository) -> None:
        """Begin what a look takes that knows nothing yet; a second call does nothing."""
        if self._empty is None:
            self._names = self._names or self._begin(self._source.tags())
            self._empty = self._begin(_is_empty(target))
            self._begin(self._source.registry.connect(_CONNECTIONS))

    async def empty(self) -> bool:
        """True if `look_at_all` was called and the target has no tag at all."""
        return await self._empty if self._empty else False

    async def names(self) -> list[str]:
        """Every tag by tags/list. Raises RegistryError."""
        return await (self._names or self._source.tags())

    async def pages(self) -> AsyncGenerator[HubPage, None]:
        """The web API's pages, newest first; none where there is no web API.

        Can be gone through once. Raises RegistryError.
        """
        if self._pages is None or self._first is None:
            return
        async with aclosing(self._pages) as following:
            if (first := await self._first) is None:
                return
            yield first
            async for page in following:
                yield page


async def _next(pages: AsyncGenerator[HubPage, None]) -> HubPage | None:
    return await anext(pages, None)


async def _is_empty(repository: Repository) -> bool:
    """True if it has no tag at all: one request instead of a HEAD for each that is not there.

    A list that names some is not relied upon, since there are registries that cut it short.
    """
    try:
        return not await repository.tags()
    except NotFound:
        return True
    except RegistryError:
        return False
