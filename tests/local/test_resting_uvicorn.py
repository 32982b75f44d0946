"""A server at rest wakes up rarely, and still stops at once."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from flows.local import resting_uvicorn
from flows.local.resting_uvicorn import RestingServer

HANG = 60  # seconds until a test that waits for ever is stopped


class Counted(RestingServer):
    """Counts its ticks."""

    ticks = 0

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        self.up.set()
        return await super().on_tick(counter)


def server(folder: Path) -> Counted:
    app = PlainTextResponse("yes")
    return Counted(uvicorn.Config(app, uds=str(folder / "s"), lifespan="off", log_level="error"))


async def test_it_looks_once_a_second_whether_to_stop(tmp_path: Path) -> None:
    resting = server(tmp_path)
    async with asyncio.timeout(HANG):
        serving = asyncio.create_task(resting.serve())
        await resting.up.wait()
        began = time.monotonic()
        await asyncio.sleep(2.5)
        ticks, seconds = resting.ticks, time.monotonic() - began
        resting.should_exit = True
        await serving
    assert ticks <= 2 + seconds


async def test_it_stops_at_once_when_another_thread_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting_uvicorn, "TICK_SECONDS", 10 * HANG)
    resting = server(tmp_path)
    async with asyncio.timeout(HANG):
        serving = asyncio.create_task(resting.serve())
        await resting.up.wait()
        threading.Thread(target=setattr, args=(resting, "should_exit", True)).start()
        await serving
    assert resting.should_exit
    resting.should_exit = True  # its loop may be over by now


async def test_one_that_was_stopped_before_it_started_ends(tmp_path: Path) -> None:
    resting = server(tmp_path)
    resting.should_exit = True
    async with asyncio.timeout(HANG):
        await resting.serve()
