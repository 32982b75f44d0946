"""`mirror maintain`: the daily maintenance of the history database."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from flows.cli.options import config_option, json_option
from flows.cli.progress_bar import working
from mirror.history import (
    as_json as as_document,
    create_engine,
    database_url,
    maintain_history,
    prepare,
)
from mirror.outcome import utcnow


@click.command("maintain")
@json_option("one object: what was created, dropped and closed")
@config_option
def command(config: Path | None, as_json: bool) -> None:
    """Create new partitions, drop months older than 13, roll up closed days."""
    url = database_url()
    prepare(url)
    engine = create_engine(url)
    with working("maintaining the history"):
        done = maintain_history(engine, utcnow())
    engine.dispose()
    if as_json:
        click.echo(json.dumps(as_document(asdict(done))))
        return
    closed = f"{done.closed_until:%Y-%m-%d}" if done.closed_until else "nothing yet"
    click.echo(
        f"partitions created {done.partitions_made}, dropped {done.partitions_dropped};"
        f" days closed before {closed}; killed runs closed {done.runs_closed}"
    )
