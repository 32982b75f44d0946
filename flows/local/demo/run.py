"""Starts what the guided run needs, runs its steps, and stops what it started."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from flows.local.demo.commands import MirrorCommand
from flows.local.demo.sample import FIRST, sample_registries
from flows.local.demo.screen import Screen
from flows.local.demo.steps import STEPS, DemoRun
from flows.local.stack import running_stack
from mirror.history import create_engine

HOST = "127.0.0.1"


async def run_demo(ui_port: int, keep: bool) -> None:
    """The whole guided run. With `keep` everything keeps running until cancelled.

    `ui_port` is that of Prefect's UI. Raises DemoError when a step fails, MirrorError when a part
    does not start.
    """
    screen = Screen()
    screen.opening(
        "mirror demo",
        "A guided run on sample registries. It touches nothing outside this machine and stops "
        "everything that it starts.",
    )
    async with AsyncExitStack() as parts:
        folder = parts.enter_context(_temporary_data_folder())
        with screen.busy("starting Postgres, Prefect's server and two registries ..."):
            stack = await parts.enter_async_context(running_stack(HOST, ui_port))
            sample = await parts.enter_async_context(sample_registries(folder))
            for version in FIRST:
                sample.publish(version)
        screen.note(f"started in {screen.seconds:.1f} s; Prefect's UI: {stack.ui_url}")
        screen.note(f"log in there with what this prints: {stack.show_login}")
        environment = {
            **stack.environment,
            **screen.environment,
            "MIRROR_CONFIG": str(sample.config),
        }
        mirror = MirrorCommand(environment, folder / "logs" / "mirror.log")
        history = create_engine(stack.database_url, read_only=True)
        parts.callback(history.dispose)
        run = DemoRun(screen, sample, mirror, history)
        for step in STEPS:
            await step(run)
        screen.closing(
            f"[bold]{screen.checks} checks passed[/bold] in {screen.seconds:.0f} s. "
            f"Runs and tasks in Prefect's UI: {stack.ui_url}/runs"
            + (
                ""
                if keep
                else "\nAll of it is stopped now; [bold]make demo ARGS=--keep[/bold] keeps it up."
            )
        )
        if keep:
            screen.note(f"export MIRROR_DATA_DIR={stack.data} MIRROR_CONFIG={sample.config}")
            screen.note(f"export PREFECT_API_URL={stack.api_url}")
            screen.note("mirror status · mirror sql · mirror sync hagicode; Ctrl-C stops it")
            await asyncio.Event().wait()


@contextmanager
def _temporary_data_folder() -> Iterator[Path]:
    """A data folder for this run alone, removed at its end; MIRROR_DATA_DIR names it."""
    folder = Path(tempfile.mkdtemp(prefix="mirror-demo-"))
    os.environ["MIRROR_DATA_DIR"] = str(folder)
    os.environ.pop("MIRROR_DATABASE_URL", None)
    os.environ.pop("PREFECT_API_DATABASE_CONNECTION_URL", None)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
