"""`mirror serve DIRECTORY`: the published site and /metrics over HTTP, until stopped."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.cli.options import PORT
from flows.local import address, choose_port, run_until_stopped
from mirror.config import load_settings
from mirror.errors import ConfigError
from mirror.logs import output_as_logs

if TYPE_CHECKING:
    from flows.local import HealthMonitor


@click.command("serve", help="Serve the published site in DIRECTORY, and /metrics, until stopped.")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=PORT,
    help="Port to listen on; 0: any free one.",
)
def command(directory: Path, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    serving = _serve(directory, host, choose_port(host, port, "the site", "--port"))
    with output_as_logs("mirror.serve"):
        run_until_stopped(serving)


def _monitor() -> HealthMonitor | None:
    """The checks of an installation; None where only a folder is served."""
    if not {"MIRROR_DATABASE_URL", "PREFECT_API_URL"} & os.environ.keys():
        return None
    from flows.local import HealthMonitor

    try:
        settings = load_settings()
    except ConfigError:
        settings = None  # a folder can be served without mirrors.yaml: no schedule is checked
    return HealthMonitor(settings, os.environ)


async def _serve(directory: Path, host: str, port: int) -> None:
    from flows.local import open_hooks, serve_site

    hooks = open_hooks()
    async with hooks, serve_site(directory, host, port, _monitor(), hooks.routes):
        click.echo(
            f"{directory} at {address(host, port)}, metrics at {address(host, port)}/metrics"
        )
        await asyncio.Event().wait()
