"""`mirror publish DIRECTORY`: build the public site from the history."""

from __future__ import annotations

import os
from pathlib import Path

import click

from flows.cli.options import config_option
from mirror.config import load_settings
from mirror.website import ADDRESS_ENV, publish_site, site_address


@click.command("publish")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--url",
    metavar="URL",
    help="Public address with the base path, such as https://example.com/mirror/ "
    f"(default: {ADDRESS_ENV}).",
)
@config_option
def command(config: Path | None, directory: Path, url: str | None) -> None:
    """Build the public site into DIRECTORY, which becomes a link to the newest build.

    The old site stays up until the new build is complete.
    """
    if url is not None:
        os.environ[ADDRESS_ENV] = url
    published = publish_site(load_settings(config), directory, site_address())
    click.echo(
        f"{directory}: {published.mirrors} mirrors, {published.tags} tags, {published.seconds} s"
    )
