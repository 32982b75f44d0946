"""`mirror restore FILE`: put a backup in place of what the databases hold."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from flows.cli.options import config_option, json_option
from flows.cli.streams import report_error
from mirror.history import PREFECT_URL, database_url, prefect_database_url, restore


@click.command("restore")
@click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE"
)
@click.option("--force", is_flag=True, help="Also while others are connected to the databases.")
@json_option("one object: file, databases")
@config_option
def command(config: Path | None, file: Path, force: bool, as_json: bool) -> None:
    """Replace the history and Prefect's database by those in FILE.

    Stop `mirror up`, or workers, watchdog and Prefect's server first. What the databases hold is
    lost. A restore that fails changes nothing; an older history is migrated.
    """
    url = database_url()
    restored = restore(url, prefect_database_url(), file, force=force)
    if as_json:
        databases = [asdict(one) for one in restored]
        click.echo(json.dumps({"file": str(file), "databases": databases}))
    for one in () if as_json else restored:
        click.echo(f"{one.name}: restored to {one.place}")
    if "prefect" not in {one.name for one in restored}:
        report_error(
            "Prefect's database was not restored: the backup has none, or there is none here"
            f" (start `mirror up` once, or set {PREFECT_URL})"
        )
