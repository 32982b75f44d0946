"""`mirror unlock NAME`: take the locks of targets away from runs that are gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import psycopg

from flows.cli.options import chosen_mirrors, complete_mirrors, config_option, json_option
from flows.cli.streams import report_error
from mirror.config import load_settings
from mirror.history import (
    LockHolder,
    close_dead_runs,
    database_url,
    end_holder,
    open_connection,
    prepare,
    read_holder,
)


@click.command("unlock")
@click.argument("name", metavar="NAME", shell_complete=complete_mirrors)
@click.option("--force", is_flag=True, help="Also if the holder was heard just now.")
@json_option("an object for each target: target, holder, unlocked, runs closed")
@config_option
@click.pass_context
def command(ctx: click.Context, config: Path | None, name: str, force: bool, as_json: bool) -> None:
    """Free the target of mirror NAME from a run that holds it, and close that run.

    NAME may be an entry for many repositories: then all of its targets. Needed only for a run that
    is alive and hangs: a holder that has been silent for half a minute loses the lock to the next
    run. Exits 1 without --force if a holder is not silent.
    """
    names = chosen_mirrors(config, (name,))
    settings = load_settings(config)
    targets = [settings.mirror(each).target for each in names]
    url = database_url()
    prepare(url)
    with open_connection(url) as connection:
        found = [(target, *_free(connection, target, force)) for target in targets]
    refused = [(target, holder) for target, holder, freed in found if holder and not freed]
    closed = [] if refused else [str(run) for run in close_dead_runs(url)]
    for target, holder, freed in found:
        if as_json:
            held = {"target": target, "holder": str(holder) if holder else None}
            click.echo(json.dumps(held | {"unlocked": freed, "runs_closed": closed}))
        elif holder is None:
            click.echo(f"{target}: not locked")
        elif freed:
            click.echo(f"{target}: unlocked; it was held by {holder}")
    for target, holder in refused:
        report_error(
            f"{target}: held by {holder}; it seems to be alive: stop that run, or take the lock"
            " away with --force"
        )
    if not as_json:
        for run in closed:
            click.echo(f"run {run}: closed as abandoned")
    ctx.exit(1 if refused else 0)


def _free(
    connection: psycopg.Connection[Any], target: str, force: bool
) -> tuple[LockHolder | None, bool]:
    """Who held a target, and whether it was taken away."""
    holder = read_holder(connection, target)
    if holder is None or not (force or holder.silent):
        return holder, False
    end_holder(connection, holder)
    return holder, True
