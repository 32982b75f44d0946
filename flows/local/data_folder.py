"""The data folder of one machine: one `mirror up` at a time, and nothing left of a killed one."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from mirror.errors import MirrorError

SWEEP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """The processes that were started, in a file, so that a later start knows them again.

    A process is known by its id and the time of its start: ids are given anew.
    """

    file: Path

    def note(self, pid: int) -> None:
        """Write a process down."""
        with suppress(psutil.NoSuchProcess), self.file.open("a") as ledger:
            ledger.write(f"{pid} {psutil.Process(pid).create_time()}\n")

    def clear(self) -> None:
        """Forget all: they were stopped."""
        self.file.unlink(missing_ok=True)

    def sweep(self) -> int:
        """End the groups of those that still run; how many there were."""
        left = [process for process in self._noted() if process is not None]
        for number in (signal.SIGTERM, signal.SIGKILL):
            alive = [process for process in left if process.is_running()]
            for process in alive:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            psutil.wait_procs(alive, timeout=SWEEP_SECONDS)
        self.clear()
        return len(left)

    def _noted(self) -> Iterator[psutil.Process | None]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        for pid, created in (line.split() for line in lines):
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(pid))
                yield process if process.create_time() == float(created) else None


def ledger_of(data: Path) -> Ledger:
    """The ledger of a data folder."""
    return Ledger(data / ".processes")


@contextmanager
def held(data: Path) -> Iterator[int]:
    """Hold the folder, making it if need be, and end what a killed `mirror up` left running there.

    Gives the number of processes that were left. The kernel lets go of the folder when this
    process ends, however it ends. Raises MirrorError when another one holds it.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = (data / ".up.lock").open("w")
    except OSError as error:
        raise MirrorError(
            f"{data}: cannot be written ({error.strerror}); set MIRROR_DATA_DIR to another folder"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MirrorError(
                f"{data}: another `mirror up` runs on this data folder; "
                "stop it, or set MIRROR_DATA_DIR to another folder"
            ) from error
        yield ledger_of(data).sweep()
