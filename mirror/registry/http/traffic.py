"""What arrives: how much of it in all, and at which rate each body must."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final, cast

import httpx

OVER: Final = 60.0  # seconds of waiting that are looked at together


@dataclass
class RegistryTraffic:
    """Sums since the start of the process."""

    requests: int = 0
    received: int = 0
    """Bytes of bodies."""


TRAFFIC: Final = RegistryTraffic()


class PacedBody(httpx.AsyncByteStream):
    """A body that raises ReadTimeout where too little of it came in the last minute of waiting.

    Only waiting counts: a reader that takes its time is not the registry's fault.
    """

    def __init__(
        self, response: httpx.Response, monotonic: Callable[[], float], least_rate: float
    ) -> None:
        """least_rate: bytes a second."""
        self._body = cast(httpx.AsyncByteStream, response.stream)
        self._monotonic = monotonic
        self._least_rate = least_rate

    async def __aiter__(self) -> AsyncIterator[bytes]:
        waited, size, since = 0.0, 0, self._monotonic()
        async for piece in self._body:
            waited += self._monotonic() - since
            size += len(piece)
            TRAFFIC.received += len(piece)
            if waited >= OVER:
                if size < self._least_rate * waited:
                    raise httpx.ReadTimeout(
                        f"{size:,} bytes in {waited:.0f} s, less than the least rate of"
                        f" {self._least_rate:,.0f} bytes a second (limits.least_rate)"
                    )
                waited, size = 0.0, 0
            yield piece
            since = self._monotonic()

    async def aclose(self) -> None:
        await self._body.aclose()
