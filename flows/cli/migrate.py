"""`mirror migrate`: migrate the history database to the newest schema."""

from __future__ import annotations

import json
from pathlib import Path

import click

from flows.cli.options import config_option, json_option
from flows.cli.progress_bar import working
from mirror.history import (
    current_revision,
    database_url,
    describe,
    owner_url,
    set_passwords,
    upgrade,
)


@click.command("migrate")
@json_option("one object: database, before, after, passwords set")
@config_option
def command(config: Path | None, as_json: bool) -> None:
    """Migrate the history database to the newest schema.

    Safe to run at any time and several times at once. The embedded database needs no `mirror
    migrate`: it is migrated automatically. On a server, run it as the owner of the database, who
    may create roles: MIRROR_WRITER_PASSWORD and MIRROR_READER_PASSWORD become the passwords of
    mirror_writer, as whom everything else may run, and of mirror_readonly.
    """
    url = database_url()
    before = current_revision(owner_url(url))
    with working("migrating the history"):
        upgrade(url)
    after = current_revision(owner_url(url))
    roles = set_passwords(url)
    if as_json:
        document = {"database": describe(url), "before": before, "after": after}
        click.echo(json.dumps(document | {"passwords_set": list(roles)}))
        return
    state = "is current" if before == after else f"migrated from {before or 'empty'}"
    click.echo(f"{describe(url)}: {state}, revision {after}")
    if roles:
        click.echo(f"passwords set: {', '.join(roles)}")
