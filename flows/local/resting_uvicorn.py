"""uvicorn that wakes up once a second while it has nothing to do, not ten times.

A process that rests costs what its wake-ups cost, and `mirror up` has three servers.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import uvicorn

TICK_SECONDS = 1.0  # the Date of responses is renewed this often


class RestingServer(uvicorn.Server):
    """Stops as soon as `should_exit` is set, from a signal handler or another thread too."""

    _stopping = False
    _loop: asyncio.AbstractEventLoop | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        self._woken = asyncio.Event()
        super().__init__(config)

    # A property, for uvicorn and those that use it set an attribute.
    @property
    def should_exit(self) -> bool:
        """Whether it stops."""
        return self._stopping

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._stopping = value
        if value and self._loop is not None:
            with suppress(RuntimeError):  # its loop has ended
                self._loop.call_soon_threadsafe(self._woken.set)

    async def main_loop(self) -> None:
        """Serve until `should_exit` is set."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await self._woken.wait()
