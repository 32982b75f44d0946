"""`mirror maintain`: the daily maintenance of the history database."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import config_option
from mirror.history import create_engine, database_url, maintain_history, prepare
from mirror.outcome import utcnow


@click.command("maintain")
@config_option
def command(config: Path | None) -> None:
    """Create new partitions, drop months older than 13, roll up closed days."""
    url = database_url()
    prepare(url)
    engine = create_engine(url)
    done = maintain_history(engine, utcnow())
    engine.dispose()
    closed = f"{done.closed_until:%Y-%m-%d}" if done.closed_until else "nothing yet"
    click.echo(
        f"partitions created {done.partitions_made}, dropped {done.partitions_dropped};"
        f" days closed before {closed}; killed runs closed {done.runs_closed}"
    )
