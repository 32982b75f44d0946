"""SIGINT and SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine


def run_until_stopped(main: Coroutine[object, object, None]) -> None:
    """Run a coroutine; SIGINT and SIGTERM cancel it once, so that it can clean up undisturbed.

    Returns when it has finished or was stopped. Raises what it raises.
    """

    async def cancellable() -> None:
        task = asyncio.ensure_future(main)
        stopping = False

        def stop() -> None:
            nonlocal stopping
            if not stopping:
                stopping = True
                task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        try:
            await task
        except asyncio.CancelledError:
            if not stopping:
                raise

    asyncio.run(cancellable())
