"""`mirror sql`: query the history, read-only."""

from __future__ import annotations

import csv
import json
import os
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import TextIO

import click
import psycopg

from flows.cli.options import config_option
from flows.cli.streams import report_error
from mirror.history import ROLE, as_json, database_url, open_reader, prepare, psql
from mirror.outside_text import csv_cell
from mirror.units import format_count

SHOWN_ROWS = 1_000
_NUMERIC = (int, float, Decimal, timedelta, NoneType)


class _QueryCommand(click.Command):
    """A command whose argument may start with --, as a comment of SQL does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what starts with -- and holds white space for the query, not for an option."""
        queries = [each for each in args if _is_query(each)]
        if queries and "--" not in args:
            args = [each for each in args if not _is_query(each)] + ["--", *queries]
        return super().parse_args(ctx, args)


def _is_query(argument: str) -> bool:
    option = argument.startswith("--config=")
    return argument.startswith("--") and not option and len(argument.split()) > 1


@click.command("sql", cls=_QueryCommand)
@click.argument("query", required=False)
@click.option(
    "--file",
    "-f",
    type=click.File(encoding="utf-8"),
    metavar="FILE",
    help="Read the query from a file; - is standard input.",
)
@click.option("--json", "form", flag_value="json", help="Print a list, one object per row.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV with a header.")
@config_option
def command(config: Path | None, query: str | None, file: TextIO | None, form: str | None) -> None:
    """Run one QUERY on the history database, or open psql; both read-only.

    The views are described in docs/reports.md; in psql, \\dv+ report_* lists them.
    """
    if query is not None and file is not None:
        raise click.UsageError("write either a query or --file")
    if file is not None:
        query = file.read()
    url = database_url()
    prepare(url)
    if query is None:
        if form:
            raise click.UsageError(f"--{form} needs a query")
        _open_psql(url)
    else:
        _run(url, query, form)


def _open_psql(url: str) -> None:
    unicode = "utf" in sys.stdout.encoding.lower() and os.environ.get("TERM") != "dumb"
    arguments, environment = psql(url, unicode=unicode)
    if sys.stdin.isatty():
        click.echo(
            "The history, read-only. \\dv report_* lists the views, \\d+ VIEW describes one,"
            " \\q ends.",
            err=True,
        )
    sys.stdout.flush()
    os.execve(arguments[0], arguments, environment)  # noqa: S606 - the terminal becomes psql's


def _run(url: str, query: str, form: str | None) -> None:
    with open_reader(url) as reader:
        if not reader.as_role:
            report_error(
                f"this user may not use the role {ROLE}; reading in a read-only transaction as the"
                " user of MIRROR_DATABASE_URL"
            )
        with reader.query(query) as cursor:
            if cursor.description is None:
                click.echo(cursor.statusmessage or "", err=True)
            elif form == "json":
                _print_json(cursor)
            elif form == "csv":
                _print_csv(cursor)
            else:
                _print_table(cursor)


def _names(cursor: psycopg.Cursor) -> list[str]:
    return [column.name for column in cursor.description or ()]


def _print_json(cursor: psycopg.Cursor) -> None:
    names = _names(cursor)
    click.echo("[", nl=False)
    for number, row in enumerate(cursor):
        line = json.dumps(as_json(dict(zip(names, row, strict=True))), ensure_ascii=False)
        click.echo(",\n " + line if number else line, nl=False)
    click.echo("]")


def _print_csv(cursor: psycopg.Cursor) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(csv_cell, _names(cursor)))
    writer.writerows([_csv(cell) for cell in row] for row in cursor)


def _csv(cell: object) -> object:
    value = "" if cell is None else as_json(cell)
    if isinstance(value, bool | int | float):
        return value
    return csv_cell(str(value))


def _print_table(cursor: psycopg.Cursor) -> None:
    from rich.text import Text

    from flows.cli.streams import paged
    from flows.cli.tables import Column, Table, print_text

    rows = list(islice(cursor, SHOWN_ROWS + 1))
    table = Table(
        tuple(
            Column(name, right=all(isinstance(row[place], _NUMERIC) for row in rows))
            for place, name in enumerate(_names(cursor))
        )
    )
    for row in rows[:SHOWN_ROWS]:
        table.add_row(*(Text(_shown(cell)) for cell in row))
    more = len(rows) > SHOWN_ROWS
    with paged() as console:
        table.print(console)
        print_text(
            console,
            f"the first {SHOWN_ROWS:,} rows of {cursor.rowcount:,}; --csv prints all"
            if more
            else format_count(len(rows), "row"),
            "dim",
        )


def _shown(cell: object) -> str:
    """A value as people read it: times to the second, figures to four decimals."""
    match cell:
        case None:
            return ""
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M:%S%z}".removesuffix("00")
        case timedelta():
            return str(cell - timedelta(microseconds=cell.microseconds))
        case float() | Decimal():
            return f"{cell:.4f}".rstrip("0").rstrip(".")
        case dict() | list():
            return json.dumps(as_json(cell), ensure_ascii=False)
    return str(as_json(cell))
