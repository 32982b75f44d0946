"""Concurrent work that is shared, and concurrent work that ends as a whole.

Single flight: of many callers that want one thing, one does it and all share its end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Hashable,
    Iterable,
    Iterator,
)
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
T = TypeVar("T")
E = TypeVar("E", bound=Exception)
_Flight = asyncio.Future[Any]

_above: ContextVar[_Flight | None] = ContextVar("mirror_flight_above", default=None)
"""The flight within which the current task works."""
_waits: dict[_Flight, set[_Flight]] = {}
"""For each running flight those whose end it needs, so that a circle is seen before it closes."""


AT_ONCE: Final = 512
"""Pieces of work in flight beyond one for each caller of gather_all."""


class _Room:
    """How much more work may be in flight."""

    def __init__(self) -> None:
        self._free = AT_ONCE

    def take(self) -> bool:
        """Take a place; False where there is none."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """Free a place."""
        self._free += 1


_rooms: WeakKeyDictionary[asyncio.AbstractEventLoop, _Room] = WeakKeyDictionary()


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
        """Repeat the work at the next request for the key."""
        flight = self._flights.get(key)
        if flight is not None and flight.done():
            del self._flights[key]

    def clear(self) -> None:
        """Repeat all work at the next requests for it."""
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


class WeightedSemaphore:
    """A semaphore of which each holder takes a share by its weight; first come, first served."""

    def __init__(self, room: int) -> None:
        self._room = self._free = room
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, weight: int) -> AsyncIterator[None]:
        """Wait for room for `weight`, at most all of it, and hold it for the block."""
        weight = min(weight, self._room)
        await self._take(weight)
        try:
            yield
        finally:
            self._give_back(weight)

    async def _take(self, weight: int) -> None:
        if not self._waiting and weight <= self._free:
            self._free -= weight
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((weight, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(weight)
            else:
                turn.cancel()
                self._give_back(0)  # those behind it may fit
            raise

    def _give_back(self, weight: int) -> None:
        self._free += weight
        while self._waiting:
            weight, turn = self._waiting[0]
            if not turn.cancelled():
                if weight > self._free:
                    return
                self._free -= weight
                turn.set_result(None)
            self._waiting.popleft()


def bare(error: E) -> E:
    """An error that is kept: without the frames, and so all that is in them, that it rose from."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


async def gather_all(work: Iterable[Awaitable[T]], *, go_on: bool = True) -> list[T]:
    """All values in order; if any failed, its error, but only once the others have ended too.

    What the others achieved is then known, and a later run need not do it again. A TaskGroup
    would cancel them.

    The work is begun in order, as `AT_ONCE` allows: one piece at a time at least, and as many more
    as all callers in this event loop leave room for. So work within work cannot wait for room.
    go_on: false begins nothing more once a piece has failed.
    """
    left = enumerate(work)
    values: dict[int, T] = {}
    failed: dict[int, BaseException] = {}  # the first in order: each holds the frames it rose from
    helpers: set[asyncio.Task[None]] = set()
    room = _rooms.setdefault(asyncio.get_running_loop(), _Room())

    async def work_off() -> None:
        for at, piece in left:
            if room.take():
                helper = asyncio.create_task(work_off())
                helpers.add(helper)
                helper.add_done_callback(lambda _: room.give_back())
            # As a separate task: deep work does not pile up on one stack.
            (result,) = await asyncio.gather(piece, return_exceptions=True)
            if not isinstance(result, BaseException):
                values[at] = result
                continue
            if not failed or at < min(failed):
                failed.clear()
                failed[at] = result
            if not go_on:
                drop()

    def drop() -> None:
        for _, piece in left:
            if isinstance(piece, Coroutine):
                piece.close()

    try:
        await work_off()
        while busy := [helper for helper in helpers if not helper.done()]:
            await asyncio.wait(busy)  # they may find helpers themselves
        for helper in helpers:
            helper.result()  # raises what getting the next piece of work raised
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        drop()  # where this was cancelled
    for error in failed.values():
        raise error
    return [values[at] for at in sorted(values)]


async def gather_both(first: Awaitable[T], second: Awaitable[object]) -> T:
    """The first one's value, once both have ended; its own error before that of the second."""
    results = await asyncio.gather(first, second, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return cast(T, results[0])
