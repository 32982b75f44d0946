"""Single flight: of many callers that want one thing, one does it and all share its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlight(Generic[Key, Value]):
    """Runs the work for a key once; a failure reaches all who waited and is then forgotten."""

    def __init__(self) -> None:
        self._flights: dict[Key, asyncio.Future[Value]] = {}

    async def do(self, key: Key, work: Callable[[], Awaitable[Value]]) -> tuple[Value, bool]:
        """The work's value, and True for the caller that did it.

        Raises what the work raised. If the caller that does it is cancelled, one that waits
        takes over.
        """
        while (flight := self._flights.get(key)) is not None:
            try:
                return await asyncio.shield(flight), False
            except asyncio.CancelledError:
                if not flight.cancelled():
                    raise
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        try:
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
        """Do the work anew when the key is asked for again."""
        flight = self._flights.get(key)
        if flight is not None and flight.done():
            del self._flights[key]

    def clear(self) -> None:
        """Do everything anew when it is asked for again."""
        for key in list(self._flights):
            self.forget(key)
