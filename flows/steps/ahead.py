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
from types import TracebackType
from typing import Self

from flows.registry import HubApi, HubPage, NotFound, RegistryError, Repository

# Opened to the source at a first look, which will find something to read.
_CONNECTIONS = 16


class Ahead:
    """An async context manager: the request is on its way within it, and given up at its end.

    What goes wrong with the request is raised where its answer is asked for.
    """

    def __init__(self, source: Repository, hub: HubApi | None, *, full: bool = False) -> None:
        """full: the source's own list is wanted beside the web API's."""
        self.began = time.perf_counter()
        self._source = source
        self._full = full
        self._pages = hub.pages(source.name) if hub else None
        self._first: asyncio.Task[HubPage | None] | None = None
        self._names: asyncio.Task[list[str]] | None = None
        self._empty: asyncio.Task[bool] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._more: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._pages is not None:
            self._first = asyncio.create_task(_next(self._pages))
        if self._pages is None or self._full:
            self._names = asyncio.create_task(self._source.tags())
        else:  # the registry itself is asked where the web API has news
            self._opening = asyncio.create_task(self._source.registry.connect(1))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tasks = (self._first, self._names, self._empty, self._opening, self._more)
        under_way = [task for task in tasks if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def look_at_all(self, target: Repository) -> None:
        """Begin what a look takes that knows nothing yet; a second call does nothing."""
        if self._empty is None:
            self._names = self._names or asyncio.create_task(self._source.tags())
            self._empty = asyncio.create_task(_is_empty(target))
            self._more = asyncio.create_task(self._source.registry.connect(_CONNECTIONS))

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
