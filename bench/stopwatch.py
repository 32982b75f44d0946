"""Timings by the clock and by the processor, of this process and a database server's."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something took, in milliseconds, over several rounds."""

    what: str
    milliseconds: tuple[float, ...]
    rows: int | None = None
    cpu: float | None = None  # milliseconds a round, of the server's processes and this one

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.milliseconds)

    @property
    def slowest(self) -> float:
        """The worst one, the first with cold caches among them."""
        return max(self.milliseconds)


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Times work by the clock and by the processors' time, which other load does not stretch."""

    server: psutil.Process
    rounds: int

    def __call__(self, what: str, work: Callable[[], int | None]) -> Timing:
        """Run work several times; it may return how many rows it gave."""
        took, rows = [], None
        cpu = self._cpu()
        for _ in range(self.rounds):
            begin = time.perf_counter()
            rows = work()
            took.append(1000 * (time.perf_counter() - begin))
        return Timing(what, tuple(took), rows, 1000 * (self._cpu() - cpu) / self.rounds)

    def _cpu(self) -> float:
        server = self.server.cpu_times()
        seconds = time.process_time() + server.children_user + server.children_system
        for process in self.server.children():
            with suppress(psutil.NoSuchProcess):  # it ended: its parent's children_* have it
                times = process.cpu_times()
                seconds += times.user + times.system
        return seconds
