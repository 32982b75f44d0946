"""The bar that a terminal shows while bytes are copied."""

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

from mirror.sync import Meter

_REFRESH_SECONDS = 0.2


@asynccontextmanager
async def progress_bar(meter: Meter, *, shown: bool) -> AsyncIterator[None]:
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
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("checking", total=None)
        watching = asyncio.create_task(_follow(meter, progress, bar))
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


async def _follow(meter: Meter, progress: Progress, bar: TaskID) -> None:
    while True:
        if meter.tags:
            progress.update(
                bar,
                description=f"{meter.tags_done}/{meter.tags} tags",
                total=meter.expected or None,
                completed=meter.done,
            )
        await asyncio.sleep(_REFRESH_SECONDS)
