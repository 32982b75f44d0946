"""What a terminal shows while a command works: bytes of a copy, or how long it has taken."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from threading import Timer

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from flows.cli.streams import make_console
from mirror.sync import SyncProgress

_REFRESH_SECONDS = 0.2
_QUIET_SECONDS = 2.0


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal's stderr what takes longer than two seconds, and for how long already."""
    if not sys.stderr.isatty():
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
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
        if progress.tags:
            bar.update(
                shown_task,
                description=f"{progress.tags_done}/{progress.tags} tags",
                total=progress.expected or None,
                completed=progress.done,
            )
        await asyncio.sleep(_REFRESH_SECONDS)
