"""Stopping on request."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine


def run_until_stopped(main: Coroutine[object, object, None]) -> None:
    """Run a coroutine; SIGINT and SIGTERM cancel it once, so that it can clean up in peace.

    Returns when it has ended, by itself or by a signal. What it raises, this raises.
    """

    async def cancellable() -> None:
        task = asyncio.ensure_future(main)
        asked = False

        def stop() -> None:
            nonlocal asked
            if not asked:
                asked = True
                task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        try:
            await task
        except asyncio.CancelledError:
            if not asked:
                raise

    asyncio.run(cancellable())
