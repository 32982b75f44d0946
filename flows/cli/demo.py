"""`mirror demo`: a guided run on sample registries."""

from __future__ import annotations

import click

from flows.cli.options import PORT
from flows.local import choose_port, run_until_stopped


@click.command("demo", help="Show a guided run on sample registries, and stop all of it.")
@click.option("--keep", is_flag=True, help="Keep everything running at the end, until Ctrl-C.")
@click.option(
    "--ui-port",
    default=0,
    type=PORT,
    help="Port of Prefect's UI (default: any free one).",
)
def command(keep: bool, ui_port: int) -> None:
    """Exit 0 if every step succeeded, 1 if one failed."""
    ui_port = choose_port("127.0.0.1", ui_port, "Prefect's server", "--ui-port")
    from flows.local import run_demo

    run_until_stopped(run_demo(ui_port, keep))
