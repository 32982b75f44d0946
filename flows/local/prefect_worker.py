"""`python -m flows.local.prefect_worker start ...`: Prefect's `worker start`, with logs as ours.

Where MIRROR_LOG is json, what the worker prints and what its flow runs write are lines of its log.
A worker that gets SIGTERM lets its flow runs end first: Prefect's kills them where they are. What
keeps it from ending after that is printed, and it ends all the same.
"""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Final

import psutil

from flows.local.resting_uvicorn import RestingServer
from flows.orchestration import follow_log_settings
from mirror.errors import ConfigError
from mirror.logs import output_as_logs

# What runs a flow run, as python -m: the first prepares its folder, then becomes the second.
_PROGRAMS: Final = frozenset({"prefect.runner._workspace_supervisor", "prefect.engine"})
_PATIENCE: Final = 15.0  # seconds that flow runs have to end
_AT_MOST: Final = 25.0  # seconds that the worker has; Kubernetes and compose kill it after 30 or 60


def main() -> int:
    """Work until SIGINT or SIGTERM; 2 where the environment is wrong."""
    try:
        follow_log_settings()
    except ConfigError as error:
        print(f"mirror: {error}", file=sys.stderr)  # noqa: T201 - a command
        return error.exit_code
    import uvicorn

    uvicorn.Server = RestingServer  # type: ignore[misc]  # of its health
    from prefect.cli import app

    with output_as_logs("prefect.worker"):
        _end_flow_runs_first()
        sys.argv[1:1] = ["worker"]
        app()
    return 0


class Ending:
    """Asks the processes that `find` names to end, by SIGTERM, each once.

    Also one that appears meanwhile, since it was being started.
    """

    def __init__(self, find: Callable[[], Sequence[psutil.Process]]) -> None:
        self._find = find
        self._task: asyncio.Task[None] | None = None

    def begin(self, patience: float = _PATIENCE) -> asyncio.Task[None]:
        """Begin, once. The task ends when all have ended, or after `patience` seconds.

        It is in none of Prefect's task groups, which cancel what is awaited in them.
        """
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._end(patience))
        return self._task

    async def _end(self, patience: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        asked: set[psutil.Process] = set()
        while loop.time() < until and (alive := [each for each in self._find() if _lives(each)]):
            for process in alive:
                if process not in asked:
                    asked.add(process)
                    with suppress(psutil.Error):
                        process.terminate()
            await asyncio.sleep(0.1)  # psutil.wait_procs would take their exit codes from Prefect


def _end_flow_runs_first() -> None:
    """Let a process worker that ends wait for its flow runs, which get SIGTERM."""
    from prefect.utilities import processutils
    from prefect.workers.process import ProcessWorker

    ending = Ending(_flow_runs)
    set_up, leave = processutils.setup_signal_handlers_worker, ProcessWorker.__aexit__

    def setup_signal_handlers_worker(*args: Any, **kwargs: Any) -> None:
        set_up(*args, **kwargs)
        loop, worker = asyncio.get_running_loop(), asyncio.current_task()
        assert worker is not None

        # Prefect's sends SIGINT, which does nothing where the process was started with SIGINT
        # ignored, as shells start what runs in the background.
        def stop(_: int, __: FrameType | None) -> None:
            faulthandler.dump_traceback_later(_AT_MOST, exit=True, file=2)  # stderr may be a log
            # At once: what Prefect awaits before it leaves may be the end of a flow run.
            loop.call_soon_threadsafe(ending.begin)
            loop.call_soon_threadsafe(worker.cancel)

        signal.signal(signal.SIGTERM, stop)

    async def __aexit__(self: ProcessWorker, *exc_info: Any) -> None:
        task = ending.begin()
        while not task.done():  # what cancels this only repeats that the worker ends
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        await leave(self, *exc_info)

    processutils.setup_signal_handlers_worker = setup_signal_handlers_worker
    ProcessWorker.__aexit__ = __aexit__  # type: ignore[method-assign]


def _flow_runs() -> list[psutil.Process]:
    """The processes of this worker's flow runs, those too that are being prepared."""
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if not _PROGRAMS.isdisjoint(child.cmdline()):
                found.append(child)
    return found


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


if __name__ == "__main__":
    sys.exit(main())
