"""SIGTERM ends a flow run in order: first its work, which cleans up, then Prefect's engine.

Prefect's own handler raises in the middle of whatever the event loop does, so that what was under
way is left as it is: upload sessions at registries, rows in the history.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from mirror.stopping import note_stop

T = TypeVar("T")


async def ending_in_order(work: Coroutine[Any, Any, T]) -> T:
    """Do the work. SIGTERM cancels it, and reaches the handler that was there once it has ended.

    Work that ends well all the same has its result. Outside of the main thread, which alone gets
    signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        return await work
    loop, received = asyncio.get_running_loop(), threading.Event()
    task = asyncio.ensure_future(work)

    def stop(number: int, _: object) -> None:
        if not received.is_set():  # a second one must not cancel the cleaning up
            received.set()
            note_stop(number)
            loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        return await task
    except BaseException:
        if received.is_set() and callable(before):
            before(signal.SIGTERM, None)  # Prefect's raises what its engine waits for
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
