"""The beginning of a source's list of tags, asked for while the record is still being read.

Whatever the record says, a look at a source begins with its list: the round trips that this takes
need not wait for the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self

from flows.registry import HubApi, HubPage, Repository


class Ahead:
    """An async context manager: the request is on its way within it, and given up at its end.

    What goes wrong with the request is raised where its answer is asked for.
    """

    def __init__(self, source: Repository, hub: HubApi | None) -> None:
        self.began = time.perf_counter()
        self._source = source
        self._pages = hub.pages(source.name) if hub else None
        self._first: asyncio.Task[HubPage | None] | None = None
        self._names: asyncio.Task[list[str]] | None = None

    async def __aenter__(self) -> Self:
        if self._pages is not None:
            self._first = asyncio.create_task(_next(self._pages))
        else:
            self._names = asyncio.create_task(self._source.tags())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        under_way = [task for task in (self._first, self._names) if task is not None]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

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
