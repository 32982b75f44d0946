"""`mirror demo`: a guided run on sample registries."""

from __future__ import annotations

import click

from flows.local import choose_port, run_until_stopped


@click.command("demo", help="A guided run on sample registries; it stops what it started.")
@click.option("--keep", is_flag=True, help="Leave everything up at the end, until Ctrl-C.")
@click.option(
    "--ui-port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of Prefect's UI (default: any free one).",
)
def command(keep: bool, ui_port: int) -> None:
    """Exit 0 if every step did what it says, 1 if one did not."""
    ui_port = choose_port("127.0.0.1", ui_port, "Prefect's server", "--ui-port")
    from flows.local import run_demo

    run_until_stopped(run_demo(ui_port, keep))
