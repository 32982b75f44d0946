"""Reads mirrors.yaml: YAML, then the models, every mistake as one ConfigError."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mirror.config.entries import EntrySettings, is_pattern
from mirror.config.explain import allowed_keys, explain
from mirror.config.named_secrets import keep_named_secrets
from mirror.config.settings import Settings
from mirror.config.shorthand import read_mappings, read_section
from mirror.config.yaml_file import read_yaml
from mirror.errors import ConfigError

_LEAST = (
    "must be a mapping with the key mirrors; see docs/configuration.md, or write"
    " mirrors: {NAME: {source: ..., target: ...}}"
)


def load_settings(path: Path | None = None) -> Settings:
    """Read and check mirrors.yaml: `path`, else MIRROR_CONFIG, else mirrors.yaml in this folder.

    Raises ConfigError in one line that names the file, the key and what is allowed.
    """
    path = path or Path(os.environ.get("MIRROR_CONFIG") or "mirrors.yaml")
    data = read_yaml(path)
    if data is None:
        raise ConfigError(f"{path}: empty; {_LEAST}")
    if not isinstance(data, Mapping):
        wide = "; '：' is not the colon of YAML, write ': '" if "：" in str(data) else ""
        raise ConfigError(f"{path}: {_LEAST}{wide}")
    return _validate(path, data)


def _validate(path: Path, data: Mapping[Any, Any]) -> Settings:
    problems = []
    raw = read_section(Settings, data)
    for key in {"path", "entries"} & raw.keys():  # fields of the model, not keys of the file
        problems.append(f"{key}: unknown key; allowed: {allowed_keys(())}")
    mirrors = raw.get("mirrors")
    if isinstance(mirrors, Mapping):
        for name, body in mirrors.items():
            if isinstance(body, Mapping) and "name" in body:
                problems.append(
                    f"mirrors.{name}.name: unknown key; allowed:"
                    f" {allowed_keys(('mirrors', name))}; the entry's key, {name}, is its name"
                )
        named = {
            name: {**body, "name": name} if isinstance(body, Mapping) else body
            for name, body in mirrors.items()
        }
        raw["entries"] = {
            name: {**read_section(EntrySettings, body), "name": name}
            for name, body in read_mappings(data.get("mirrors"))
            if is_pattern(body.get("source"))
        }
        raw["mirrors"] = {name: body for name, body in named.items() if name not in raw["entries"]}
    try:
        settings = Settings.model_validate({**raw, "path": path})
    except ValidationError as error:
        raise ConfigError(f"{path}: " + "; ".join(problems + explain(error))) from error
    if problems:
        raise ConfigError(f"{path}: " + "; ".join(problems))
    keep_named_secrets(settings)
    return settings
