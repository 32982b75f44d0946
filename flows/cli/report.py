"""`mirror report`: success rate, delay, failures and runs of a period."""

from __future__ import annotations

import csv
import json
import sys
from datetime import timedelta
from pathlib import Path

import click

from flows.cli.options import as_duration, complete_mirrors, config_option
from mirror.history import (
    CSV_COLUMNS,
    Part,
    as_json,
    create_engine,
    csv_rows,
    database_url,
    prepare,
    read_report,
)

_WHOLE = 20  # mirrors; of more, each is a row


def _since(ctx: click.Context, param: click.Parameter, value: str) -> timedelta | None:
    if value == "all":
        return None
    try:
        return as_duration(ctx, param, value)
    except click.BadParameter as error:
        raise click.BadParameter(f"{error.message}, or all", ctx, param) from error


@click.command("report")
@click.option("--since", default="7d", callback=_since, help="7d, 12h, all.", show_default=True)
@click.option(
    "--mirror",
    "name",
    metavar="NAME",
    shell_complete=complete_mirrors,
    help="Report only this mirror.",
)
@click.option("--json", "form", flag_value="json", help="Print the whole report as JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print a CSV row for each mirror and day.")
@click.option("--check", is_flag=True, help="Exit 1 when a goal is missed.")
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    since: timedelta | None,
    name: str | None,
    form: str | None,
    check: bool,
) -> None:
    """Show success rate, delay, failures, pulls and runs, compared with the goals.

    More than 20 mirrors are a row each; --mirror shows the days, failures and runs of one.
    """
    url = database_url()
    prepare(url)
    engine = create_engine(url, read_only=True)
    found = read_report(engine, since, name, parts=Part.ALL if form else Part.NONE)
    many = len(found.mirrors) > _WHOLE
    if not form and not many:
        found = read_report(engine, since, name)
    engine.dispose()
    if form == "json":
        click.echo(json.dumps(as_json(found), indent=2, ensure_ascii=False))
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        writer.writerows(csv_rows(found))
    else:
        from flows.cli.show_report import show_report, show_table
        from flows.cli.streams import paged

        with paged() as console:
            show_table(found, console) if many else show_report(found, console)
    missed = any(goal.met is False for mirror in found.mirrors for goal in mirror.goals)
    ctx.exit(1 if check and missed else 0)
