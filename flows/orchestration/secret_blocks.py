"""Prefect Secret blocks as a place of credentials."""

from __future__ import annotations

from typing import Any, cast

from prefect.blocks.system import Secret

from mirror.errors import ConfigError


def load_secret(name: str) -> str:
    """The value of a Prefect Secret block; blocks. Raises ConfigError where there is none."""
    try:
        # Prefect's decorator adds _sync, which its types do not know.
        block: Secret[str] = cast(Any, Secret).load(name, _sync=True)
    except ValueError as error:  # Prefect's word for a block that does not exist
        raise ConfigError(
            f"there is no Prefect Secret block named {name!r}: make it in the UI, or name another"
            " in password_secret"
        ) from error
    return str(block.get())
