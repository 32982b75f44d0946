"""The logs of programs that run for years stay small, and are read by their user alone."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import sys
from pathlib import Path

import pytest

from flows.local.supervisor import Program, Supervisor

LINES = """
import sys, time
for number in range(10_000_000):
    print(f"{number:063}", flush=True)
    time.sleep(0.0002)
"""
LARGE = 20_000


async def test_a_program_that_never_ends_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.local.log_files.LOG_BYTES", LARGE)
    monkeypatch.setattr("flows.local.log_files.CHECK_INTERVAL", 0.01)
    said: list[str] = []
    program = Program("talker", (sys.executable, "-c", LINES))
    log, previous = tmp_path / "talker.log", tmp_path / "talker.log.1"
    kept: set[str] = set()
    async with Supervisor(tmp_path) as supervisor:
        child = await supervisor.start(program)
        keeping = asyncio.create_task(supervisor.keep_running(program, said.append))
        while len(kept) < 3:  # set aside three times, by the same process
            await asyncio.sleep(0.005)
            with contextlib.suppress(FileNotFoundError):  # taken away for the next one just now
                if (text := previous.read_text()).endswith("\n"):
                    kept.add(text[:63])
            assert not keeping.done()
        assert supervisor.running("talker") == child.pid
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
    assert not said
    first, last = sorted(kept)[0], sorted(kept)[-1]
    assert int(last) - int(first) > 2 * LARGE / 64 * 0.9  # nearly every line was in one of them
    assert log.stat().st_size < int(last) * 64 / 2
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in (log, previous))


async def test_a_log_that_cannot_be_set_aside_is_reported_and_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.local.log_files.LOG_BYTES", 10)
    monkeypatch.setattr("flows.local.log_files.CHECK_INTERVAL", 0.01)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flows.local.log_files.shutil.copyfileobj", full)
    said: list[str] = []
    heard = asyncio.Event()

    def say(text: str) -> None:
        said.append(text)
        heard.set()

    program = Program(
        "one", (sys.executable, "-c", "import time; print('x' * 99, flush=True); time.sleep(99)")
    )
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(program)
        keeping = asyncio.create_task(supervisor.keep_running(program, say))
        await heard.wait()
        assert (tmp_path / "one.log").stat().st_size == 0
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
    assert said == [
        f"{tmp_path / 'one.log'}: what it held could not be kept: No space left on device"
    ]
