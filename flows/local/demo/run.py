"""Starts what the guided run needs, walks its chapters, and stops what it started."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from flows.local.demo.chapters import CHAPTERS, Tour
from flows.local.demo.commands import Mirror
from flows.local.demo.sample import FIRST, sample_registries
from flows.local.demo.screen import Screen
from flows.local.stack import running_stack
from mirror.history import create_engine

HOST = "127.0.0.1"


async def run_tour(ui_port: int, keep: bool) -> None:
    """The whole guided run. With `keep` everything stays up until cancelled.

    Raises TourError when a chapter did not hold, MirrorError when something did not start.
    """
    screen = Screen()
    screen.opening(
        "mirror demo",
        "A guided run on sample registries. Nothing outside this machine is touched, and all that "
        "is started here is stopped again.",
    )
    async with AsyncExitStack() as parts:
        folder = parts.enter_context(_own_folder())
        with screen.busy("starting Postgres, Prefect's server and two registries ..."):
            stack = await parts.enter_async_context(running_stack(HOST, ui_port))
            sample = await parts.enter_async_context(sample_registries(folder))
            for version in FIRST:
                sample.publish(version)
        screen.note(f"up after {screen.seconds:.1f} s; Prefect's UI: {stack.ui_url}")
        environment = {
            **stack.environment,
            **screen.environment,
            "MIRROR_CONFIG": str(sample.config),
        }
        mirror = Mirror(environment, folder / "logs" / "mirror.log")
        record = create_engine(stack.database_url, read_only=True)
        parts.callback(record.dispose)
        tour = Tour(screen, sample, mirror, record)
        for chapter in CHAPTERS:
            await chapter(tour)
        screen.closing(
            f"[bold]{screen.checks} checks held[/bold] in {screen.seconds:.0f} s. "
            f"Runs and their tasks in Prefect's UI: {stack.ui_url}/runs"
            + (
                ""
                if keep
                else "\nIt is stopped now; [bold]make demo ARGS=--keep[/bold] leaves it up."
            )
        )
        if keep:
            screen.note(f"export MIRROR_DATA_DIR={stack.data} MIRROR_CONFIG={sample.config}")
            screen.note(f"export PREFECT_API_URL={stack.api_url}")
            screen.note("mirror status · mirror sql · mirror sync hagicode; Ctrl-C stops it")
            await asyncio.Event().wait()


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A data folder for this run alone, removed at its end; MIRROR_DATA_DIR while it lasts."""
    folder = Path(tempfile.mkdtemp(prefix="mirror-demo-"))
    os.environ["MIRROR_DATA_DIR"] = str(folder)
    os.environ.pop("MIRROR_DATABASE_URL", None)
    os.environ.pop("PREFECT_API_DATABASE_CONNECTION_URL", None)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
