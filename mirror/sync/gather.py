"""Work side by side that ends as a whole: nothing of it goes on when the caller does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar, cast

T = TypeVar("T")


async def all_of(work: Iterable[Awaitable[T]]) -> list[T]:
    """All values in order; if any failed, its error, but only when the others have ended too.

    What the others brought about is then known, and a later run need not do it again.
    """
    results = await asyncio.gather(*work, return_exceptions=True)
    values: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        values.append(result)
    return values


async def both(first: Awaitable[T], second: Awaitable[object]) -> T:
    """The first one's value, once both have ended; its own error before that of the second."""
    value, _ = await all_of([cast(Awaitable[object], first), second])
    return cast(T, value)
