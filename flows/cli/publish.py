"""`mirror publish DIRECTORY`: build the public site from the history."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from flows.cli.options import config_option, json_option
from flows.cli.progress_bar import working
from mirror.config import load_settings
from mirror.units import format_count
from mirror.website import ADDRESS_ENV, publish_site, site_address


@click.command("publish")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--url",
    metavar="URL",
    help="Public address with the base path, such as https://example.com/mirror/ "
    f"(default: {ADDRESS_ENV}).",
)
@json_option("one object: directory, mirrors, tags, seconds")
@config_option
def command(config: Path | None, directory: Path, url: str | None, as_json: bool) -> None:
    """Build the public site into DIRECTORY, which becomes a link to the newest build.

    The old site stays up until the new build is complete.
    """
    if url is not None:
        os.environ[ADDRESS_ENV] = url
    with working("building the site"):
        published = publish_site(load_settings(config), directory, site_address())
    if as_json:
        click.echo(json.dumps({"directory": str(directory)} | asdict(published), default=str))
        return
    click.echo(
        f"{directory}: {format_count(published.mirrors, 'mirror')},"
        f" {format_count(published.tags, 'tag')}, {published.seconds} s"
    )
