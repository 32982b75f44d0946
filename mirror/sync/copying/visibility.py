"""Reads after one's own write: some registries show it only after seconds ("not yet")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from mirror.registry import NotFound

T = TypeVar("T")

WAITS: Final = (0.2, 0.4, 0.8, 1.2, 1.6, 2.0)
"""Seconds between the attempts; what is not there after all of them is missing."""


async def until_visible(
    attempt: Callable[[], Awaitable[T]],
    just_written: Callable[[], bool],
    sleep: Callable[[float], Awaitable[None]],
    shows: Callable[[T], bool] = lambda _: True,
) -> T:
    """The value of `attempt`, repeated while a write of this run is not visible yet.

    `just_written` is asked after a failure; where it is False, nothing is repeated. `shows`: True
    if the value is what was written. Returns the last value; raises what the last attempt raised.
    """
    for wait in (*WAITS, None):
        try:
            value = await attempt()
        except NotFound:
            if wait is None or not just_written():
                raise
        else:
            if wait is None or shows(value) or not just_written():
                return value
        await sleep(wait)
    raise AssertionError("unreachable")
