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
from mirror.history import make_private_folder

KILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PidFile:
    """The processes that were started, so that a later start can end those that were left.

    Each line holds a process id and the process's start time: ids are reused.
    """

    file: Path

    def add(self, pid: int) -> None:
        """Write a process down."""
        with suppress(psutil.NoSuchProcess), self.file.open("a") as lines:
            lines.write(f"{pid} {psutil.Process(pid).create_time()}\n")

    def clear(self) -> None:
        """Remove the file: all of its processes were stopped."""
        self.file.unlink(missing_ok=True)

    def kill_all(self) -> int:
        """End the process groups of those that still run; returns their number."""
        left = list(self._running())
        for number in (signal.SIGTERM, signal.SIGKILL):
            alive = [process for process in left if process.is_running()]
            for process in alive:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
            psutil.wait_procs(alive, timeout=KILL_SECONDS)
        self.clear()
        return len(left)

    def _running(self) -> Iterator[psutil.Process]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        for pid, created in (line.split() for line in lines):
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(pid))
                if process.create_time() == float(created):
                    yield process


def pid_file(data: Path) -> PidFile:
    """The pid file of a data folder."""
    return PidFile(data / ".processes")


@contextmanager
def locked_data_folder(data: Path) -> Iterator[int]:
    """Lock the folder, creating it if needed, and end what a killed `mirror up` left running.

    Yields the number of processes that were left. The kernel releases the lock when this process
    ends, however it ends. Raises MirrorError when another process holds it.
    """
    try:
        make_private_folder(data)
        lock = os.open(data / ".up.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise MirrorError(
            f"{data}: not writable ({error.strerror}); set MIRROR_DATA_DIR to another folder"
        ) from error
    with os.fdopen(lock, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MirrorError(
                f"{data}: another `mirror up` uses this data folder; "
                "stop it, or set MIRROR_DATA_DIR to another folder"
            ) from error
        yield pid_file(data).kill_all()
