"""mirrors.yaml as a whole, as a frozen model.

It holds no secrets: mirrors.yaml names the environment variables, files or Prefect Secret blocks
that hold credentials, and mirror/config/credentials.py reads them when a registry asks.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, model_validator

from mirror.config.alerting import AlertingSettings
from mirror.config.base import ConfigModel
from mirror.config.channels import ChannelSettings, named
from mirror.config.models import MirrorSettings, RegistrySettings, RetrySettings
from mirror.errors import ConfigError
from mirror.registry import InvalidReference, Reference

HUB = "docker.io"
HUB_API = "https://hub.docker.com"


class Settings(ConfigModel):
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
                    " too; each mirror needs its own target"
                )
        for host in self.registries:
            try:
                Reference.parse(f"{host}/x")
            except InvalidReference as error:
                raise ValueError(f"registries.{host}: not a registry host[:port]") from error
        return self

    def mirror(self, name: str) -> MirrorSettings:
        """The mirror of that name. Raises ConfigError that lists the existing ones."""
        try:
            return self.mirrors[name]
        except KeyError:
            known = ", ".join(sorted(self.mirrors))
            raise ConfigError(
                f"{self.path}: no mirror is named {name!r}; there are: {known}"
            ) from None

    def registry(self, host: str) -> RegistrySettings:
        """Settings of a registry by `host[:port]`."""
        entry = self.registries.get(host, RegistrySettings())
        if host == HUB and entry.hub_api is None:
            return entry.model_copy(update={"hub_api": HUB_API})
        return entry
