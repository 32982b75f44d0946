"""Programs start in order, are watched, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.local.data_folder import PidFile
from flows.local.supervisor import Program, Supervisor
from mirror.errors import MirrorError

FOREVER = "import time; time.sleep(600)"


def python(name: str, code: str, **options: object) -> Program:
    return Program(name, (sys.executable, "-c", code), **options)  # type: ignore[arg-type] # by key


def alive_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(f"not so within {seconds} s")


async def test_leaving_stops_all_in_the_reverse_of_their_order(tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        f"    open({str(order)!r}, 'a').write(sys.argv[1] + '\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(600)\n"
    )
    async with Supervisor(tmp_path) as supervisor:
        for name in ("first", "second", "third"):
            log = tmp_path / f"{name}.log"

            async def ready(log: Path = log) -> bool:
                return "ready" in log.read_text()

            await supervisor.start(Program(name, (sys.executable, "-c", code, name), health=ready))
    assert order.read_text().split() == ["third", "second", "first"]


async def test_grandchildren_end_with_their_group(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(python("parent", code))
        await until(lambda: note.exists() and note.read_text())
        grandchild = int(note.read_text())
        assert alive_process(grandchild)
    await until(lambda: not alive_process(grandchild))


async def test_one_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n" + FOREVER
    )

    async def ready() -> bool:
        return "ready" in (tmp_path / "stubborn.log").read_text()

    supervisor = Supervisor(tmp_path)
    child = await supervisor.start(python("stubborn", code, health=ready))
    await child.stop(patience=0.2)
    assert await child.wait() == -signal.SIGKILL


async def test_one_that_ends_while_starting_is_reported_with_its_last_line(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(MirrorError, match=r"broken exited with code 3 .*: no room left"):
            code = "import sys; print('no room left'); sys.exit(3)"
            await supervisor.start(python("broken", code, health=never))


async def test_one_that_never_answers_is_reported_and_stopped(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async with Supervisor(tmp_path) as supervisor:
        with pytest.raises(MirrorError, match=r"mute did not become healthy within 0 s"):
            await supervisor.start(python("mute", FOREVER, health=never, startup_seconds=0.3))


async def test_one_that_dies_is_started_again(tmp_path: Path) -> None:
    said: list[str] = []
    program = python("flaky", FOREVER)
    async with Supervisor(tmp_path) as supervisor:
        first = await supervisor.start(program)
        keeper = asyncio.create_task(supervisor.keep_running(program, said.append))
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: supervisor.running("flaky") not in (None, first.pid))
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
        second = supervisor.running("flaky")
    assert second is not None and not alive_process(second)
    assert said == [f"flaky exited with code -9; restarting in 1 s (log: {tmp_path / 'flaky.log'})"]


async def test_one_that_no_longer_answers_is_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.local.supervisor.ALIVE_INTERVAL", 0.02)
    monkeypatch.setattr("flows.local.supervisor.STEADY_SECONDS", 0.0)
    said: list[str] = []
    program = python("frozen", FOREVER, startup_seconds=0.0)
    async with Supervisor(tmp_path) as supervisor:
        first = await supervisor.start(program)
        keeping = asyncio.create_task(supervisor.keep_running(program, said.append))
        os.kill(first.pid, signal.SIGSTOP)
        await until(lambda: said)
        assert "does not answer" in said[0]
        await until(lambda: supervisor.running("frozen") not in (None, first.pid))
        assert not alive_process(first.pid)
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def test_one_that_is_still_starting_is_not_taken_for_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.local.supervisor.ALIVE_INTERVAL", 0.01)
    asked = 0

    async def never() -> bool:
        nonlocal asked
        asked += 1
        return False

    said: list[str] = []
    program = python("slow", FOREVER, alive=never)
    async with Supervisor(tmp_path) as supervisor:
        await supervisor.start(program)
        keeping = asyncio.create_task(supervisor.keep_running(program, said.append))
        await until(lambda: asked > 20)
        assert not said
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping


async def test_one_that_starts_slowly_gets_more_time_at_each_restart_and_comes_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.local.supervisor.ALIVE_INTERVAL", 0.05)
    monkeypatch.setattr("flows.local.supervisor.RESTART_WAIT_MAX", 0.05)
    code = (
        "import os, pathlib, time\n"
        "time.sleep(0.5)\n"
        f"pathlib.Path({str(tmp_path)!r}, f'up-{{os.getpid()}}').touch()\n"
        "time.sleep(600)\n"
    )
    said: list[str] = []
    async with Supervisor(tmp_path) as supervisor:

        async def answers() -> bool:
            return (tmp_path / f"up-{supervisor.running('slow')}").exists()

        program = python("slow", code, alive=answers, startup_seconds=0.1)
        await supervisor.start(program)
        keeping = asyncio.create_task(supervisor.keep_running(program, said.append))
        await until(lambda: list(tmp_path.glob("up-*")), seconds=30)
        assert said and all("does not answer" in line for line in said)
        keeping.cancel()


async def test_a_full_disk_is_reported_and_ends_nothing(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    pids.symlink_to("/dev/full")  # ENOSPC at every write
    said: list[str] = []
    async with Supervisor(tmp_path, pid_file=PidFile(pids)) as supervisor:
        keeping = asyncio.create_task(supervisor.keep_running(python("p", FOREVER), said.append))
        await until(lambda: said or keeping.done())
        assert said == [f"p cannot be started: No space left on device (log: {tmp_path / 'p.log'})"]
        first = supervisor.running("p")
        assert first is not None, "it runs although it could not be noted down"
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.running("p") not in (None, first))
        assert not keeping.done()
        keeping.cancel()
