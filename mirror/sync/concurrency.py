"""Concurrent work that is shared, and concurrent work that ends as a whole.

Single flight: of many callers that want one thing, one does it and all share its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar, cast

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
T = TypeVar("T")
_Flight = asyncio.Future[Any]

_above: ContextVar[_Flight | None] = ContextVar("mirror_flight_above", default=None)
"""The flight within which the current task works."""
_waits: dict[_Flight, set[_Flight]] = {}
"""For each flight under way those whose end it needs, so that a circle is seen before it closes."""


class CircularWork(Exception):
    """Work that would wait for its own end. Content that a digest names cannot lead to it; tags
    that name each other and lists of referrers can."""


class SingleFlight(Generic[Key, Value]):
    """Runs the work for a key once; a failure reaches all who waited and is then forgotten."""

    def __init__(self) -> None:
        self._flights: dict[Key, asyncio.Future[Value]] = {}

    async def do(self, key: Key, work: Callable[[], Awaitable[Value]]) -> tuple[Value, bool]:
        """The work's value, and True for the caller that did it.

        Raises what the work raised, and CircularWork where the caller is itself a part of the
        work that it would wait for. If the caller that does it is cancelled, one that waits
        takes over.
        """
        while (flight := self._flights.get(key)) is not None:
            try:
                with _waiting_for(flight):
                    return await asyncio.shield(flight), False
            except asyncio.CancelledError:
                if not flight.cancelled():
                    raise
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        try:
            with _waiting_for(flight), _within(flight):
                value = await work()
        except BaseException as error:
            self._flights.pop(key, None)
            if isinstance(error, Exception):
                flight.set_exception(error)
                flight.exception()  # seen: with no other caller there is nobody to fetch it
            else:
                flight.cancel()
            raise
        flight.set_result(value)
        return value, True

    def forget(self, key: Key) -> None:
        """Do the work anew when the key is requested again."""
        flight = self._flights.get(key)
        if flight is not None and flight.done():
            del self._flights[key]

    def clear(self) -> None:
        """Do everything anew when it is requested again."""
        for key in list(self._flights):
            self.forget(key)


@contextmanager
def _waiting_for(flight: _Flight) -> Iterator[None]:
    above = _above.get()
    if above is None or flight.done():
        yield
        return
    if _needs(flight, above):
        raise CircularWork
    needed = _waits.setdefault(above, set())
    needed.add(flight)
    try:
        yield
    finally:
        needed.discard(flight)
        if not needed:
            _waits.pop(above, None)


@contextmanager
def _within(flight: _Flight) -> Iterator[None]:
    token = _above.set(flight)
    try:
        yield
    finally:
        _above.reset(token)


def _needs(flight: _Flight, other: _Flight) -> bool:
    """True if `flight` is `other` or waits for it, by way of others too."""
    seen, left = {flight}, [flight]
    while left:
        found = left.pop()
        if found is other:
            return True
        fresh = _waits.get(found, set()) - seen
        seen |= fresh
        left += fresh
    return False


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
