"""The progress bar of a terminal while bytes are copied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mirror.sync import SyncProgress

_REFRESH_SECONDS = 0.2


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
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown_task = bar.add_task("looking", total=None)
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
