"""Arguments and options that commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from mirror.config import Settings, load_settings
from mirror.units import parse_duration

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
    return click.argument("names", nargs=-1, required=True, metavar="NAME...")(function)


def json_option(what: str = "a list, one object per mirror") -> Callable[[Any], Any]:
    """Add `--json` (argument `as_json`), which prints `what`."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what}.")


def chosen_mirrors(config: Path | None, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, each once. Raises ConfigError for one that mirrors.yaml does not have."""
    settings: Settings = load_settings(config)
    for name in names:
        settings.mirror(name)
    return tuple(dict.fromkeys(names))


def as_duration(ctx: click.Context, param: click.Parameter, value: str) -> timedelta:
    """A callback that reads a duration, such as 90s or 7d."""
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def report_error(message: str) -> None:
    """Print an error or a warning as one line on stderr."""
    click.echo(f"mirror: {message}", err=True)
