"""`mirror serve DIRECTORY`: the published site and /metrics over HTTP, until stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from flows.cli.options import PORT
from flows.local import address, choose_port, run_until_stopped


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
    run_until_stopped(_serve(directory, host, choose_port(host, port, "the site", "--port")))


async def _serve(directory: Path, host: str, port: int) -> None:
    from flows.local import serve_site

    async with serve_site(directory, host, port):
        click.echo(
            f"{directory} at {address(host, port)}, metrics at {address(host, port)}/metrics"
        )
        await asyncio.Event().wait()
