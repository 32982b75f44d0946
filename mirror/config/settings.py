"""mirrors.yaml as a whole, as a frozen model.

It holds no secrets: mirrors.yaml names the environment variables, files or Prefect Secret blocks
that hold credentials, and mirror/config/credentials.py reads them when a registry asks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from mirror.config.alerting import AlertingSettings
from mirror.config.base import ConfigModel
from mirror.config.channels import ChannelSettings, named
from mirror.config.models import HUB_API, MirrorSettings, RegistrySettings, RetrySettings
from mirror.config.registry_names import registry_key
from mirror.config.similar import did_you_mean
from mirror.errors import ConfigError

HUB = "docker.io"


class Settings(ConfigModel):
    """mirrors.yaml as a whole."""

    path: Path = Path("mirrors.yaml")
    registries: dict[str, RegistrySettings] = Field(default_factory=dict)
    mirrors: dict[str, MirrorSettings]
    alerts: tuple[ChannelSettings, ...] = ()
    alerting: AlertingSettings = AlertingSettings()
    retry: RetrySettings = RetrySettings()

    @field_validator("registries", mode="before")
    @classmethod
    def _by_host(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        read: dict[str, Any] = {}
        for key, entry in value.items():
            insecure = entry.get("insecure") if isinstance(entry, Mapping) else None
            try:
                host = registry_key(str(key), insecure=insecure in (True, "true", "yes", "on"))
            except ValueError as error:
                shown = re.sub(r"(^|//)[^/]*@", r"\1***@", str(key))
                raise ValueError(f"registries.{shown}: {error}") from error
            if host in read:
                raise ValueError(f"registries.{key}: there are two entries for {host}; write one")
            read[host] = entry
        return read

    @field_validator("mirrors")
    @classmethod
    def _not_none(cls, value: dict[str, MirrorSettings]) -> dict[str, MirrorSettings]:
        if not value:
            raise ValueError("no mirror; write {NAME: {source: ..., target: ...}}")
        return value

    @model_validator(mode="after")
    def _channels(self) -> Settings:
        named(self.alerts)
        for number, entry in enumerate(self.alerts):
            for name in entry.mirrors or ():
                if name not in self.mirrors:
                    raise ValueError(f"alerts.{number}.mirrors: {self._unknown(name)}")
        return self

    @model_validator(mode="after")
    def _one_target_each(self) -> Settings:
        owners: dict[str, str] = {}
        for name, mirror in self.mirrors.items():
            if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,62}", name):
                meant = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:63]
                raise ValueError(
                    f"mirrors.{name}: a mirror's name is lower-case letters, digits, '.', '_', '-',"
                    " at most 63" + (f"; write {meant}" if meant else "")
                )
            if (other := owners.setdefault(mirror.target, name)) != name:
                raise ValueError(
                    f"mirrors.{name}.target: {mirror.target} is the target of mirrors.{other}"
                    " too; each mirror needs its own target"
                )
        return self

    def mirror(self, name: str) -> MirrorSettings:
        """The mirror of that name. Raises ConfigError that lists the existing ones."""
        try:
            return self.mirrors[name]
        except KeyError:
            raise ConfigError(f"{self.path}: {self._unknown(name)}") from None

    def _unknown(self, name: str) -> str:
        hint, known = did_you_mean(name, self.mirrors), ", ".join(sorted(self.mirrors))
        return f"no mirror is named {name!r}{hint}; there are: {known}"

    def registry(self, host: str) -> RegistrySettings:
        """Settings of a registry by `host[:port]`."""
        entry = self.registries.get(host, RegistrySettings())
        if host == HUB and entry.hub_api is None:
            return entry.model_copy(update={"hub_api": HUB_API})
        return entry
