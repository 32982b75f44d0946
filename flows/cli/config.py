"""`mirror config`: check mirrors.yaml, show the effective settings, print its JSON Schema."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import click

from flows.cli.options import complete_mirrors, config_option, json_option
from flows.cli.streams import report_error
from mirror.config import Settings, json_schema, load_settings, shown_settings, variables
from mirror.units import format_count


@click.group(name="config", help="Check mirrors.yaml, and show the effective settings.")
def command() -> None:
    """The group of `mirror config`."""


@command.command(name="check")
@json_option("one object: ok, file, mirrors, problems, unset variables")
@config_option
@click.pass_context
def check(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Check mirrors.yaml without any registry or database; exits 2 when it is wrong.

    Variables that it names and that are not set here are warnings. `mirror doctor` checks
    registries and credentials as well.
    """
    from mirror.errors import ConfigError

    try:
        settings = load_settings(config)
    except ConfigError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"ok": False, "problems": [str(error)]}, indent=2))
        ctx.exit(error.exit_code)
    unset = [name for name in variables(settings) if not os.environ.get(name)]
    if as_json:
        document = {
            "ok": True,
            "file": str(settings.path),
            "mirrors": [*settings.mirrors, *settings.entries],
            "problems": [],
            "unset_variables": unset,
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(f"{settings.path}: {_counts(settings)}: no mistakes")
    if unset:
        report_error(f"warning: not set in this environment: {', '.join(unset)}")


def _counts(settings: Settings) -> str:
    counts = [
        format_count(len(settings.mirrors), "mirror"),
        format_count(len(settings.entries), "entry for many repositories", "entries for many"),
        format_count(len(settings.registries), "registry", "registries"),
        format_count(len(settings.alerts), "channel"),
    ]
    return ", ".join(count for count in counts if not count.startswith("0 "))


@command.command(name="show")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_mirrors)
@click.option("--expand", is_flag=True, help="Ask sources for the repositories of entries with *.")
@json_option("one object with the keys of mirrors.yaml, and environment")
@config_option
def show(config: Path | None, names: tuple[str, ...], expand: bool, as_json: bool) -> None:
    """Show the effective settings as YAML: of all mirrors, or of those named.

    Every default is written out, and shorthands in full. Secrets are shown as the names of their
    variables.
    """
    settings = load_settings(config)
    if expand and settings.entries:
        settings = asyncio.run(_expanded(settings))
    environment = {
        name: "set" if os.environ.get(name) else "not set" for name in variables(settings)
    }
    document = shown_settings(_chosen(settings, names) if names else settings)
    if names:
        document = {key: document[key] for key in ("registries", "mirrors")}
    if as_json:
        document["environment"] = environment
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    from flows.cli.streams import paged

    lines = [f"# {settings.path}", *(f"# {name}: {state}" for name, state in environment.items())]
    with paged() as console:
        console.print("\n".join(lines), style="dim")
        console.print(_yaml(document), end="")


def _yaml(document: dict[str, Any]) -> str:
    import yaml

    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)
    return text


def _chosen(settings: Settings, names: tuple[str, ...]) -> Settings:
    """The settings with these mirrors alone. Raises ConfigError for one that is unknown."""
    entries = {name: settings.entries[name] for name in names if name in settings.entries}
    mirrors = {name: settings.mirror(name) for name in names if name not in entries}
    hosts = {
        repository.partition("/")[0]
        for mirror in (*entries.values(), *mirrors.values())
        for repository in (mirror.source, mirror.target)
    }
    registries = {
        key: entry for key, entry in settings.registries.items() if key.partition("/")[0] in hosts
    }
    return settings.model_copy(
        update={"mirrors": mirrors, "entries": entries, "registries": registries}
    )


async def _expanded(settings: Settings) -> Settings:
    """The settings with a mirror for each repository that an entry's source lists now."""
    from mirror.errors import MirrorError
    from mirror.outcome import utcnow
    from mirror.registry import RegistryError
    from mirror.sync import look_at_repositories

    listed = {}
    for name, entry in settings.entries.items():
        try:
            look = await look_at_repositories(settings, entry, {}, utcnow(), None)
        except RegistryError as error:
            raise MirrorError(f"{settings.path}: mirrors.{name}: {error}") from error
        listed[name] = look.mirrored
    return settings.expanded(listed).model_copy(update={"entries": {}})


@command.command(name="schema")
def schema() -> None:
    """Print the JSON Schema of mirrors.yaml, for editors that complete and check YAML."""
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
