"""A worker that ends waits for its flow runs, and not for ever."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from flows.local.prefect_worker import Ending

PROGRAM = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: {at_sigterm})
print("ready", flush=True)
time.sleep(600)
"""

# A worker whose event loop is blocked, so that nothing in it can end it.
STUCK = """
import asyncio, os, time
from flows.local import prefect_worker
from prefect.utilities import processutils

def stay():
    print("ready", flush=True)
    while True:
        time.sleep(0.1)

async def main():
    processutils.setup_signal_handlers_worker(os.getpid(), "worker", lambda _: None)
    stay()

prefect_worker._AT_MOST = 1
prefect_worker._end_flow_runs_first()
asyncio.run(main())
"""


@contextmanager
def process(at_sigterm: str) -> Iterator[psutil.Process]:
    """A process that does that at SIGTERM."""
    command = [sys.executable, "-c", PROGRAM.format(at_sigterm=at_sigterm)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as started:
        try:
            assert started.stdout is not None
            started.stdout.readline()
            yield psutil.Process(started.pid)
        finally:
            started.kill()


async def test_processes_have_time_to_end_after_sigterm() -> None:
    with process("(time.sleep(0.3), sys.exit())") as one, process("sys.exit()") as two:
        await Ending(lambda: [one, two]).begin(patience=60)
        assert {one.status(), two.status()} == {psutil.STATUS_ZOMBIE}


async def test_a_process_that_does_not_end_is_left_after_a_while() -> None:
    with process("None") as one:
        began = time.monotonic()
        await Ending(lambda: [one]).begin(patience=0.5)
        assert time.monotonic() - began >= 0.5
        assert one.status() != psutil.STATUS_ZOMBIE


async def test_a_process_that_is_started_meanwhile_is_asked_too() -> None:
    with process("(time.sleep(0.3), sys.exit())") as one, process("sys.exit()") as two:
        found = [one]
        task = Ending(lambda: found).begin(patience=60)
        await asyncio.sleep(0)
        found.append(two)
        await task
        assert {one.status(), two.status()} == {psutil.STATUS_ZOMBIE}


async def test_a_process_that_is_gone_already_is_no_error() -> None:
    with process("None") as one:
        pass
    await Ending(lambda: [one]).begin(patience=60)


async def test_who_asks_again_waits_for_the_same() -> None:
    ending = Ending(list)
    assert ending.begin() is ending.begin()
    await ending.begin()


def test_a_worker_that_cannot_end_says_where_it_is_and_ends() -> None:
    command = [sys.executable, "-c", STUCK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        started.terminate()
        _, error = started.communicate(timeout=60)
    assert started.returncode == 1
    assert b"most recent call first" in error
    assert b"in stay" in error
