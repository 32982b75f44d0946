"""Reads mirrors.yaml: YAML, then the models, every mistake as one ConfigError."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mirror.config.explain import allowed_keys, explain, one_line
from mirror.config.settings import Settings
from mirror.errors import ConfigError


def load_settings(path: Path | None = None) -> Settings:
    """Read and check mirrors.yaml: `path`, else MIRROR_CONFIG, else mirrors.yaml in this folder.

    Raises ConfigError in one line that names the file, the key and what is allowed.
    """
    path = path or Path(os.environ.get("MIRROR_CONFIG") or "mirrors.yaml")
    return _validate(path, _read(path))


class _Loader(yaml.SafeLoader):
    """YAML in which a duplicate key is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key.value!r}", key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else repr(key))
        return super().construct_mapping(node, deep)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); name it with --config or MIRROR_CONFIG"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text") from error
    try:
        data = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        raise ConfigError(f"{path}:{where} not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {one_line(str(error))}") from error
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path}: must be a mapping with the key mirrors; see README.md")
    return data


def _validate(path: Path, data: Mapping[str, Any]) -> Settings:
    if "path" in data:  # a field of the model, not a key of the file
        raise ConfigError(f"{path}: path: unknown key; allowed: {allowed_keys(())}")
    raw = dict(data)
    mirrors = raw.get("mirrors")
    if isinstance(mirrors, Mapping):
        raw["mirrors"] = {
            str(name): {**body, "name": str(name)} if isinstance(body, Mapping) else body
            for name, body in mirrors.items()
        }
    try:
        return Settings.model_validate({**raw, "path": path})
    except ValidationError as error:
        raise ConfigError(f"{path}: " + "; ".join(explain(error))) from error
