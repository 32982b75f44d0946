"""mirrors.yaml as a whole, as a frozen model.

It holds no secrets: mirrors.yaml names the environment variables, files or Prefect Secret blocks
that hold credentials, and mirror/config/credentials.py reads them when a registry asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from mirror.config.alerting import AlertingSettings
from mirror.config.base import ConfigModel
from mirror.config.channels import ChannelSettings, named
from mirror.config.entries import EntrySettings
from mirror.config.hooks import HookSettings
from mirror.config.limits import LimitSettings
from mirror.config.models import (
    HUB_API,
    MirrorPolicy,
    MirrorSettings,
    RegistrySettings,
    RetrySettings,
)
from mirror.config.registry_names import registry_key, without_login
from mirror.config.similar import did_you_mean
from mirror.errors import ConfigError

HUB = "docker.io"


class Settings(ConfigModel):
    """mirrors.yaml as a whole."""

    path: Path = Path("mirrors.yaml")
    registries: dict[str, RegistrySettings] = Field(default_factory=dict)
    mirrors: dict[str, MirrorSettings]
    entries: dict[str, EntrySettings] = Field(default_factory=dict)
    alerts: tuple[ChannelSettings, ...] = ()
    alerting: AlertingSettings = AlertingSettings()
    retry: RetrySettings = RetrySettings()
    limits: LimitSettings = LimitSettings()
    hooks: HookSettings | None = None

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
                raise ValueError(f"registries.{without_login(str(key))}: {error}") from error
            if host in read:
                raise ValueError(f"registries.{key}: there are two entries for {host}; write one")
            read[host] = entry
        return read

    @model_validator(mode="after")
    def _not_none(self) -> Settings:
        if not self.mirrors and not self.entries:
            raise ValueError("mirrors: no mirror; write {NAME: {source: ..., target: ...}}")
        return self

    @model_validator(mode="after")
    def _channels(self) -> Settings:
        named(self.alerts)
        for number, entry in enumerate(self.alerts):
            for name in entry.mirrors or ():
                if name not in self.mirrors and name.partition("/")[0] not in self.entries:
                    raise ValueError(f"alerts.{number}.mirrors: {self._unknown(name)}")
        return self

    @model_validator(mode="after")
    def _one_target_each(self) -> Settings:
        owners: dict[str, str] = {}
        for name, mirror in (self.mirrors | self.entries).items():
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
        entry, _, repository = name.partition("/")
        if name in self.mirrors:
            return self.mirrors[name]
        if repository and entry in self.entries:
            if self.entries[entry].admits(repository):
                return self.entries[entry].mirror(repository)
            raise ConfigError(f"{self.path}: mirrors.{entry} does not mirror {repository!r}")
        raise ConfigError(f"{self.path}: {self._unknown(name)}")

    def expanded(self, repositories: Mapping[str, Iterable[str]]) -> Settings:
        """These settings with the mirrors of each entry's repositories, by the entry's name.

        Raises ConfigError for two mirrors with one target.
        """
        mirrors = dict(self.mirrors)
        owners = {mirror.target: mirror for mirror in mirrors.values()}
        for name, names in repositories.items():
            for mirror in self.entries[name].mirrors(names):
                other = owners.setdefault(mirror.target, mirror)
                if other is not mirror:
                    raise ConfigError(
                        f"{self.path}: mirrors.{name}: {mirror.source} would be copied to"
                        f" {mirror.target}, which is the target of {other.name} too; exclude it"
                        " under repositories"
                    )
                mirrors[mirror.name] = mirror
        return self.model_copy(update={"mirrors": mirrors})

    def limits_of(self, mirror: MirrorPolicy) -> LimitSettings:
        """The budgets of a mirror's runs: its own where they are written, else those of all."""
        return self.limits if mirror.limits is None else mirror.limits.over(self.limits)

    @property
    def policies(self) -> tuple[MirrorPolicy, ...]:
        """Every entry of `mirrors:`, those for one repository first."""
        return (*self.mirrors.values(), *self.entries.values())

    def mirrors_of(self, name: str) -> tuple[str, ...]:
        """The mirrors that a name on the command line means: one, or all of an entry."""
        if name not in self.entries:
            return (name,)
        return tuple(mirror for mirror in self.mirrors if mirror.startswith(f"{name}/"))

    def _unknown(self, name: str) -> str:
        names = sorted(self.mirrors | self.entries)
        hint, known = did_you_mean(name, names), ", ".join(names)
        return f"no mirror is named {name!r}{hint}; there are: {known}"

    def registry(self, host: str) -> RegistrySettings:
        """Settings of a registry by `host[:port]`."""
        entry = self.registries.get(host, RegistrySettings())
        if host == HUB and entry.hub_api is None:
            return entry.model_copy(update={"hub_api": HUB_API})
        return entry
