"""Options that every command shares."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


def _remember(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    # Flow runs of this process and the processes that it starts read the same file.
    if value is not None:
        os.environ["MIRROR_CONFIG"] = str(value.resolve())
    return value


def config_option(function: Any) -> Any:
    """Add `--config FILE` (argument `config`: Path or None); it also sets MIRROR_CONFIG."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=_remember,
        metavar="FILE",
        help="mirrors.yaml to use (default: MIRROR_CONFIG, else mirrors.yaml here).",
    )(function)
