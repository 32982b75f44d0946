"""Names of hosts and their addresses."""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Final

import aiohttp
import aiohttp.abc

_HOLD: Final = 10.0  # seconds
_MOST: Final = 256  # hosts whose addresses are kept


class CheckedResolver(aiohttp.abc.AbstractResolver):
    """Addresses of host names; those that were looked at are the ones that are connected to.

    A name that leads elsewhere at the second look (DNS rebinding) gains nothing.
    """

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._seen: dict[str, tuple[float, list[aiohttp.abc.ResolveResult]]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of a host, looked up again after ten seconds. Raises OSError."""
        now = asyncio.get_running_loop().time()
        at, found = self._seen.get(host, (-math.inf, []))
        if now - at > _HOLD:
            found = await self._inner.resolve(host, 0, socket.AF_UNSPEC)
            self._seen.pop(host, None)
            self._seen[host] = (now, found)
            if len(self._seen) > _MOST:
                del self._seen[next(iter(self._seen))]
        return tuple(one["host"] for one in found)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        """As aiohttp's interface says."""
        if host in self._seen:
            return [{**one, "port": port} for one in self._seen[host][1]]
        return await self._inner.resolve(host, port, family)

    async def close(self) -> None:
        """Nothing is held."""
