"""The least rate at which a body must arrive: bytes over the seconds spent waiting for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final, cast

import httpx

LEAST_RATE: Final = 1024  # bytes a second, of any body
OVER: Final = 60.0  # seconds of waiting that are looked at together


class PacedBody(httpx.AsyncByteStream):
    """A body that raises ReadTimeout where too little of it came in the last minute of waiting.

    Only waiting counts: a reader that takes its time is not the registry's fault.
    """

    def __init__(self, response: httpx.Response, monotonic: Callable[[], float]) -> None:
        self._body = cast(httpx.AsyncByteStream, response.stream)
        self._monotonic = monotonic

    async def __aiter__(self) -> AsyncIterator[bytes]:
        waited, size, since = 0.0, 0, self._monotonic()
        async for piece in self._body:
            waited += self._monotonic() - since
            size += len(piece)
            if waited >= OVER:
                if size < LEAST_RATE * waited:
                    raise httpx.ReadTimeout(
                        f"{size:,} bytes in {waited:.0f} s, less than the least rate of"
                        f" {LEAST_RATE:,} bytes a second"
                    )
                waited, size = 0.0, 0
            yield piece
            since = self._monotonic()

    async def aclose(self) -> None:
        await self._body.aclose()
