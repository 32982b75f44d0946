"""Arguments and options that commands share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from flows.cli.streams import report_error
from mirror.config import Settings, load_settings
from mirror.errors import ConfigError
from mirror.logs import log_fields
from mirror.outcome import TagFailure
from mirror.units import format_count, parse_duration

_DIGEST = re.compile(r"sha(256|512):[0-9a-f]+")
_TAGS_SHOWN = 5
PORT = click.IntRange(0, 65535)


def _export(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    # Flow runs of this process and the processes that it starts read the same file.
    if value is not None:
        os.environ["MIRROR_CONFIG"] = str(value.resolve())
    return value


def config_option(function: Any) -> Any:
    """Add `--config FILE` (argument `config`: Path or None); it also sets MIRROR_CONFIG."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_export,
        metavar="FILE",
        help="mirrors.yaml to use (default: MIRROR_CONFIG, else mirrors.yaml here).",
    )(function)


def names_argument(function: Any) -> Any:
    """Add `NAME...` (argument `names`: one or more mirrors)."""
    return click.argument(
        "names", nargs=-1, required=True, metavar="NAME...", shell_complete=complete_mirrors
    )(function)


def complete_mirrors(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The mirrors that begin so; none where mirrors.yaml cannot be read."""
    try:
        settings = load_settings(ctx.params.get("config"))
    except ConfigError:
        return []
    chosen = ctx.params.get(param.name or "") or ()
    names = (*settings.mirrors, *settings.entries)
    return [name for name in names if name.startswith(incomplete) and name not in chosen]


def json_option(what: str = "a list, one object per mirror") -> Callable[[Any], Any]:
    """Add `--json` (argument `as_json`), which prints `what`."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what}.")


def chosen_mirrors(config: Path | None, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, each once, and for an entry those of its known repositories.

    Raises ConfigError for a name that mirrors.yaml does not have.
    """
    settings = load_settings(config)
    names = checked_names(settings, names)
    if not settings.entries.keys() & set(names):
        return names
    from mirror.history import database_url, prepare, with_repositories

    url = database_url()
    prepare(url)
    settings = with_repositories(settings, url)
    found = [one for name in names for one in settings.mirrors_of(name)]
    if not found:
        raise ConfigError(f"no repository of {', '.join(names)} is known yet; sync first")
    return tuple(dict.fromkeys(found))


def checked_names(settings: Settings, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of mirrors and entries, each once.

    Raises ConfigError for a name that mirrors.yaml does not have.
    """
    for name in names:
        if name not in settings.entries:
            settings.mirror(name)
    return tuple(dict.fromkeys(names))


def as_duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """A callback that reads a duration, such as 90s or 7d."""
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def report_failures(mirror: str, failures: Sequence[TagFailure]) -> None:
    """Print the failures of a run on stderr, those of one cause as one line."""
    alike: dict[tuple[str, str], list[TagFailure]] = {}
    for failure in failures:
        alike.setdefault((failure.reason.value, _cause(failure)), []).append(failure)
    for same in alike.values():
        first, *others = same
        where = f"{mirror}:{first.tag}" if first.tag else mirror
        if others:
            tags = [str(each.tag) for each in others[:_TAGS_SHOWN]]
            rest = ", ..." if len(others) > _TAGS_SHOWN else ""
            where += f" and {format_count(len(others), 'more tag')} ({', '.join(tags)}{rest})"
        with log_fields(**({"tag": first.tag} if first.tag else {})):
            report_error(f"{where}: {first.message} ({first.reason.value})")


def _cause(failure: TagFailure) -> str:
    """The message without what differs from tag to tag: its name and digests."""
    message = _DIGEST.sub("DIGEST", failure.message)
    if failure.tag is None:
        return message
    return re.sub(rf"(?<![\w.-]){re.escape(failure.tag)}(?![\w.-])", "TAG", message)
