"""Credentials from Prefect Secret blocks."""

from __future__ import annotations

from typing import Any, cast

from prefect.blocks.system import Secret

from mirror.errors import ConfigError
from mirror.outside_text import keep_secret


def load_secret(name: str) -> str:
    """The value of a Prefect Secret block; blocking. Raises ConfigError if it does not exist."""
    try:
        # Prefect's decorator adds _sync, which its types do not know.
        block: Secret[str] = cast(Any, Secret).load(name, _sync=True)
    except ValueError as error:  # what Prefect raises for a block that does not exist
        raise ConfigError(
            f"unknown Prefect Secret block {name!r}: create it in Prefect's UI, or name another in"
            " password_secret"
        ) from error
    value = str(block.get())
    keep_secret(value, value.strip())
    return value
