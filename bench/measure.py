"""One command, measured: wall time, processor time, peak memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process took."""

    code: int
    wall: float  # seconds
    cpu: float  # seconds, user and system, children included
    peak: int  # bytes, its resident high-water mark
    load: float  # the machine's load average when it began
    output: str
    errors: str

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.code or other.code,
            self.wall + other.wall,
            self.cpu + other.cpu,
            max(self.peak, other.peak),
            self.load,
            self.output + other.output,
            self.errors + other.errors,
        )


def high_water(pid: int) -> int:
    """VmHWM of a process, in bytes; 0 once it has gone.

    wait4's ru_maxrss would count the harness's own memory, which a child shares until exec.
    """
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def measure(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Usage:
    """Run `command` to its end and measure it."""
    peak, done, load = 0, threading.Event(), os.getloadavg()[0]

    def watch(pid: int) -> None:
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            peak = max(peak, high_water(pid))

    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        sampler = threading.Thread(target=watch, args=(child.pid,))
        sampler.start()
        try:
            _, status, usage = os.wait4(child.pid, 0)
        finally:
            done.set()
            sampler.join()
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        return Usage(
            child.returncode,
            wall,
            usage.ru_utime + usage.ru_stime,
            peak,
            load,
            output.read().decode(errors="replace"),
            errors.read().decode(errors="replace"),
        )
