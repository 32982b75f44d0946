"""The environment and mirrors.yaml as frozen models.

Nothing secret is read here: mirrors.yaml names the environment variables, files or Prefect Secret
blocks that hold credentials, and mirror/config/credentials.py reads them when a registry asks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    model_validator,
)

from mirror.config.alerting import AlertingSettings, alerting_model
from mirror.config.channels import ChannelSettings, channel_model, named
from mirror.config.models import (
    MirrorSettings as MirrorSettings,
    Model,
    RateLimitSettings,
    RegistrySettings as RegistrySettings,
    RetrySettings,
    TagPolicy,
)
from mirror.errors import ConfigError
from mirror.registry import InvalidReference, Reference
from mirror.units import format_duration as format_duration, parse_duration as parse_duration

HUB = "docker.io"
HUB_API = "https://hub.docker.com"


class Settings(Model):
    """mirrors.yaml as a whole."""

    path: Path = Path("mirrors.yaml")
    registries: dict[str, RegistrySettings] = Field(default_factory=dict)
    mirrors: dict[str, MirrorSettings]
    alerts: tuple[ChannelSettings, ...] = ()
    alerting: AlertingSettings = AlertingSettings()
    retry: RetrySettings = RetrySettings()

    @model_validator(mode="after")
    def _channels(self) -> Settings:
        named(self.alerts)
        for number, entry in enumerate(self.alerts):
            for name in entry.mirrors or ():
                if name not in self.mirrors:
                    known = ", ".join(sorted(self.mirrors))
                    raise ValueError(
                        f"alerts.{number}.mirrors: no mirror is named {name!r}; there are: {known}"
                    )
        return self

    @model_validator(mode="after")
    def _one_target_each(self) -> Settings:
        owners: dict[str, str] = {}
        for name, mirror in self.mirrors.items():
            if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", name):
                raise ValueError(
                    f"mirrors.{name}: a mirror's name is lower-case letters, digits, '.', '_', '-'"
                )
            if (other := owners.setdefault(mirror.target, name)) != name:
                raise ValueError(
                    f"mirrors.{name}.target: {mirror.target} is the target of mirrors.{other}"
                    " too; each mirror needs a target of its own"
                )
        for host in self.registries:
            try:
                Reference.parse(f"{host}/x")
            except InvalidReference as error:
                raise ValueError(f"registries.{host}: not a registry host[:port]") from error
        return self

    def mirror(self, name: str) -> MirrorSettings:
        """The mirror of that name. Raises UsageError (ConfigError) naming those that exist."""
        try:
            return self.mirrors[name]
        except KeyError:
            known = ", ".join(sorted(self.mirrors))
            raise ConfigError(
                f"{self.path}: no mirror is named {name!r}; there are: {known}"
            ) from None

    def registry(self, host: str, repository: str | None = None) -> RegistrySettings:
        """Settings of a registry; those keyed host/repository go before those keyed host."""
        if repository is not None and (own := self.registries.get(f"{host}/{repository}")):
            return own
        entry = self.registries.get(host, RegistrySettings())
        if host == HUB and entry.hub_api is None:
            return entry.model_copy(update={"hub_api": HUB_API})
        return entry


class _Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else repr(key))
        return super().construct_mapping(node, deep)


def config_path(path: Path | None = None) -> Path:
    """Where mirrors.yaml is: the argument, MIRROR_CONFIG, or mirrors.yaml in this folder."""
    return path or Path(os.environ.get("MIRROR_CONFIG") or "mirrors.yaml")


def load_settings(path: Path | None = None) -> Settings:
    """Read and check mirrors.yaml.

    Raises ConfigError in one line that names the file, the key and what is allowed.
    """
    path = config_path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); name it with --config or MIRROR_CONFIG"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    try:
        data = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}:{where} is not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {_one_line(str(error))}") from error
    if not isinstance(data, Mapping):
        raise ConfigError(f"{path}: must be a mapping with the key mirrors; see README.md")
    return _validated(path, data)


def _validated(path: Path, data: Mapping[str, Any]) -> Settings:
    if "path" in data:  # a field of the model, not a key of the file
        raise ConfigError(f"{path}: path: unknown key; allowed: {_allowed(())}")
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
        raise ConfigError(f"{path}: " + "; ".join(_explain(error))) from error


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        location = [str(part) for part in problem["loc"]]
        key = ".".join(location)
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key; allowed: {_allowed(tuple(location[:-1]))}")
        elif problem["type"] == "missing":
            lines.append(f"{key}: is missing")
        else:
            message = _one_line(problem["msg"]).removeprefix("Value error, ")
            lines.append(f"{key}: {message}" if key else message)
    return lines


def _allowed(location: tuple[str, ...]) -> str:
    """The keys allowed at a place in mirrors.yaml."""
    model: type[BaseModel] = Settings
    match location:
        case ("registries", _):
            model = RegistrySettings
        case ("mirrors", _):
            model = MirrorSettings
        case ("mirrors", _, "tags"):
            model = TagPolicy
        case ("mirrors", _, "rate_limit"):
            model = RateLimitSettings
        case ("retry",):
            model = RetrySettings
        case ("alerts", *below):
            model = channel_model(below)
        case ("alerting", *below):
            model = alerting_model(below)
    hidden = {Settings: "path", MirrorSettings: "name"}.get(model)
    fields = model.model_fields.items()
    return ", ".join(field.alias or name for name, field in fields if name != hidden)


def _one_line(text: str) -> str:
    return " ".join(text.split())
