"""`mirror backup FILE`: the history and Prefect's database as one file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from flows.cli.options import config_option, json_option
from flows.cli.streams import report_error
from mirror.history import PREFECT_URL, back_up, database_url, prefect_database_url, prepare


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@json_option("one object: file, databases")
@config_option
def command(config: Path | None, file: Path, as_json: bool) -> None:
    """Back up the history and Prefect's database to a new FILE, while everything goes on.

    FILE is readable by this user alone: Prefect's database holds the Secret blocks. `mirror
    restore` puts it back, on an embedded database or a server, whichever it was taken from.
    """
    url = database_url()
    prepare(url)
    prefect = prefect_database_url()
    saved = back_up(url, prefect, file)
    if as_json:
        databases = [asdict(one) for one in saved]
        click.echo(json.dumps({"file": str(file), "databases": databases}))
    for one in () if as_json else saved:
        click.echo(f"{one.name}: {one.place}, {one.bytes:,} bytes")
    if prefect is None:
        report_error(
            f"Prefect's database is not part of it: set {PREFECT_URL} where its server has one of"
            " its own"
        )
    if not as_json:
        click.echo(f"written: {file}")
