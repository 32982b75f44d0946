"""Concurrent work that ends as a whole: nothing of it continues when the caller does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar, cast

T = TypeVar("T")


async def gather_all(work: Iterable[Awaitable[T]]) -> list[T]:
    """All values in order; if any failed, its error, but only once the others have ended too.

    What the others achieved is then known, and a later run need not do it again. A TaskGroup
    would cancel them.
    """
    results = await asyncio.gather(*work, return_exceptions=True)
    values: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        values.append(result)
    return values


async def gather_both(first: Awaitable[T], second: Awaitable[object]) -> T:
    """The first one's value, once both have ended; its own error before that of the second."""
    value, _ = await gather_all([cast(Awaitable[object], first), second])
    return cast(T, value)
