"""`mirror migrate`: migrate the history database to the newest schema."""

from __future__ import annotations

from pathlib import Path

import click

from flows.cli.options import config_option
from mirror.history import current_revision, database_url, describe, upgrade


@click.command("migrate")
@config_option
def command(config: Path | None) -> None:
    """Migrate the history database to the newest schema.

    Safe to run at any time and several times at once. The embedded database needs no `mirror
    migrate`: it is migrated automatically.
    """
    url = database_url()
    before = current_revision(url)
    upgrade(url)
    after = current_revision(url)
    state = "is current" if before == after else f"migrated from {before or 'empty'}"
    click.echo(f"{describe(url)}: {state}, revision {after}")
