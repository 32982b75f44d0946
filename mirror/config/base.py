"""What every model of mirrors.yaml is built on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

_TOKEN = re.compile(r"gh[opsur]_|github_pat_|glpat|dckr_|AKIA|LTAI|xox[a-z]|SEC[0-9a-f]{16}")


def _variable_name(value: object) -> object:
    """A variable's name. Raises ValueError without the value, which may be a secret."""
    if not isinstance(value, str):
        return value
    name = value.strip()
    if name.startswith("$"):
        raise ValueError("write the variable's name without $ or braces, such as REGISTRY_PASSWORD")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or _looks_secret(name):
        raise ValueError(
            "must be the name of an environment variable such as REGISTRY_PASSWORD; the value"
            " itself belongs in that variable, not in mirrors.yaml"
        )
    return name


def _looks_secret(name: str) -> bool:
    """Whether it is written as tokens and passwords are: REGISTRY_PASSWORD_2 is not."""
    if _TOKEN.match(name):
        return True
    digits = any(letter.isdigit() for letter in name)
    return digits and "_" not in name and (name != name.upper() or len(name) >= 20)


def _block_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", value):
        raise ValueError(
            "must be the name of a Prefect Secret block such as acr-password; the secret itself"
            " belongs in that block, not in mirrors.yaml"
        )
    return value


EnvName = Annotated[str, BeforeValidator(_variable_name)]
"""The name of an environment variable."""

BlockName = Annotated[str, AfterValidator(_block_name)]
"""The name of a Prefect Secret block."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A value of mirrors.yaml that means nothing, and what to write instead."""

    message: str


class ConfigModel(BaseModel):
    """Frozen, and without room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
