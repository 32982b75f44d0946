"""`mirror unlock NAME`: take the lock of a target away from a run that is gone."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import config_option, report_error
from mirror.config import load_settings
from mirror.history import (
    close_dead_runs,
    database_url,
    end_holder,
    open_connection,
    prepare,
    read_holder,
)


@click.command("unlock")
@click.argument("name", metavar="NAME")
@click.option("--force", is_flag=True, help="Also if the holder was heard just now.")
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, name: str, force: bool) -> None:
    """Free the target of mirror NAME from a run that holds it, and close that run.

    Needed only for a run that is alive and hangs: a holder that has been silent for half a minute
    loses the lock to the next run. Exits 1 without --force if the holder is not silent.
    """
    mirror = load_settings(config).mirror(name)
    url = database_url()
    prepare(url)
    with open_connection(url) as connection:
        holder = read_holder(connection, mirror.target)
        if holder is None:
            click.echo(f"{mirror.target}: not locked")
        elif not (force or holder.silent):
            report_error(
                f"{mirror.target}: held by {holder}; it seems to be alive: stop that run, or take"
                " the lock away with --force"
            )
            ctx.exit(1)
        else:
            end_holder(connection, holder)
            click.echo(f"{mirror.target}: unlocked; it was held by {holder}")
    for run in close_dead_runs(url):
        click.echo(f"run {run}: closed as abandoned")
