"""What a terminal shows while a command works: bytes, rate, and how long it takes."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import Timer
from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from flows.cli.streams import make_console
from mirror.sync import SyncProgress
from mirror.units import format_count

if TYPE_CHECKING:
    from mirror.registry import RegistryTraffic

_REFRESH_SECONDS = 0.2
_QUIET_SECONDS = 2.0
_RATE_SECONDS = 5.0  # over which a rate is measured


class TrafficColumn(ProgressColumn):
    """Requests to registries, bytes of their responses and the rate of the last seconds."""

    def __init__(
        self, traffic: RegistryTraffic, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._traffic = traffic
        self._clock = clock
        self._requests = traffic.requests
        self._seen = deque([(clock(), traffic.received)])
        self._first = traffic.received

    def render(self, task: Task) -> Text:
        """Empty while nothing was requested."""
        now, requests = self._clock(), self._traffic.requests - self._requests
        while len(self._seen) > 1 and now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        (then, before), received = self._seen[0], self._traffic.received
        self._seen.append((now, received))
        if not requests:
            return Text()
        rate = decimal(int((received - before) / max(now - then, 1e-3)))
        return Text(
            f"{format_count(requests, 'request')}, {decimal(received - self._first)}, {rate}/s"
        )


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal's stderr what takes longer than two seconds: how long already, and what
    registries sent meanwhile."""
    if not sys.stderr.isatty():
        yield
        return
    from mirror.registry import TRAFFIC

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TrafficColumn(TRAFFIC),
    )
    shown = Progress(*columns, console=make_console(stderr=True), transient=True)
    shown.add_task(what, total=None)
    later = Timer(_QUIET_SECONDS, shown.start)
    later.daemon = True
    later.start()
    try:
        yield
    finally:
        later.cancel()
        later.join()
        shown.stop()


@asynccontextmanager
async def progress_bar(progress: SyncProgress, *, shown: bool) -> AsyncIterator[None]:
    """Show bytes, tags, speed and the time left on stderr while the block runs."""
    if not shown:
        yield
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=make_console(stderr=True), transient=True) as bar:
        shown_task = bar.add_task("comparing", total=None)
        following = asyncio.create_task(_follow(progress, bar, shown_task))
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def _follow(progress: SyncProgress, bar: Progress, shown_task: TaskID) -> None:
    while True:
        show_progress(progress, bar, shown_task)
        await asyncio.sleep(_REFRESH_SECONDS)


def show_progress(progress: SyncProgress, bar: Progress, shown_task: TaskID) -> None:
    """Show how far a sync is, or what it waits for."""
    if progress.tags:
        bar.update(
            shown_task,
            description=f"{progress.tags_done}/{progress.tags} tags",
            total=progress.expected or None,
            completed=progress.done,
        )
    else:
        waits = f"waiting for a turn at {progress.waits_for}"
        bar.update(shown_task, description=waits if progress.waits_for else "comparing")
