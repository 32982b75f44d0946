"""`mirror backup FILE`: the history and Prefect's database as one file."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import config_option, report_error
from mirror.history import PREFECT_URL, back_up, database_url, prefect_database_url, prepare


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@config_option
def command(config: Path | None, file: Path) -> None:
    """Back up the history and Prefect's database to a new FILE, while everything goes on.

    FILE is readable by this user alone: Prefect's database holds the Secret blocks. `mirror
    restore` puts it back, on an embedded database or a server, whichever it was taken from.
    """
    url = database_url()
    prepare(url)
    prefect = prefect_database_url()
    for saved in back_up(url, prefect, file):
        click.echo(f"{saved.name}: {saved.place}, {saved.bytes:,} bytes")
    if prefect is None:
        report_error(
            f"Prefect's database is not part of it: set {PREFECT_URL} where its server has one of"
            " its own"
        )
    click.echo(f"written: {file}")
