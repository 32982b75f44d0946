"""Registries, mirrors and retries of mirrors.yaml, as frozen models."""

from __future__ import annotations

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mirror.config.base import ConfigModel, EnvName
from mirror.registry import InvalidReference, Reference
from mirror.units import ClockTime, Duration, Rate, TimeZone


def _repository(value: str) -> str:
    try:
        reference = Reference.parse(value)
    except InvalidReference as error:
        raise ValueError(str(error)) from error
    if reference.tag or reference.digest:
        raise ValueError(f"{value!r} names a tag or digest; only a repository is allowed")
    return f"{reference.registry}/{reference.repository}"


def _pattern(value: str) -> str:
    if value.startswith("re:"):
        try:
            re.compile(value[3:])
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    return value


def _semver(value: str) -> str:
    from semantic_version import NpmSpec

    try:
        NpmSpec(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a SemVer range such as >=0.1.0 <1 or ^2") from error
    return value


def _platform(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?", value):
        raise ValueError(f"{value!r} is not a platform such as linux/amd64 or linux/arm/v7")
    return value


RepositoryName = Annotated[str, AfterValidator(_repository)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Semver = Annotated[str, AfterValidator(_semver)]
PlatformName = Annotated[str, AfterValidator(_platform)]


class RegistrySettings(ConfigModel):
    """How to reach one registry; credentials by the name of their variable or block."""

    insecure: bool = False
    ca_file: Path | None = None
    username_env: EnvName | None = None
    password_env: EnvName | None = None
    username: str | None = None
    password_secret: str | None = Field(None, description="name of a Prefect Secret block")
    hub_api: str | None = None
    realm_hosts: tuple[str, ...] = Field(
        (), description="further hosts whose token services may see the credential"
    )

    @model_validator(mode="after")
    def _whole(self) -> RegistrySettings:
        has_user = self.username_env is not None or self.username is not None
        has_password = self.password_env is not None or self.password_secret is not None
        if has_user != has_password:
            raise ValueError(
                "a credential needs username_env or username, and password_env or password_secret"
            )
        return self


class RateLimitSettings(ConfigModel):
    """A limit on one mirror's bytes a second; `20Mbit/s` for short if it applies all day."""

    rate: Rate
    begin: ClockTime = Field(time.min, alias="from")
    end: ClockTime = Field(time.min, alias="to")  # the same as from: all day
    timezone: TimeZone = "Asia/Shanghai"


def _rate_limit(value: object) -> object:
    return {"rate": value} if isinstance(value, str) else value


class TagPolicy(ConfigModel):
    """Which tags are mirrored, and what may happen to tags at the target."""

    include: tuple[Pattern, ...] = ("*",)
    exclude: tuple[Pattern, ...] = ()
    semver: Semver | None = None
    newest: Annotated[int, Field(ge=1)] | None = None
    immutable: tuple[Pattern, ...] = ()
    rename: str | None = None
    backup: str | None = None
    delete_after: Duration | None = None
    delete_share: Annotated[float, Field(gt=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _templates(self) -> TagPolicy:
        for key in ("rename", "backup"):
            template = getattr(self, key)
            if template is not None and "{tag}" not in template:
                raise ValueError(f"{key}: {template!r} must contain {{tag}}")
        return self


class MirrorSettings(ConfigModel):
    """One mirror: a source repository kept at a target repository."""

    name: str = ""
    source: RepositoryName
    target: RepositoryName
    tags: TagPolicy = TagPolicy()
    platforms: Literal["all"] | tuple[PlatformName, ...] = "all"
    attestations: Literal["keep", "drop"] = "keep"
    referrers: bool = True
    every: Duration = timedelta(minutes=30)
    watch_every: Duration = timedelta(minutes=2)
    delay_goal: Duration = timedelta(minutes=30)
    rate_limit: Annotated[RateLimitSettings | None, BeforeValidator(_rate_limit)] = None

    @model_validator(mode="after")
    def _not_itself(self) -> MirrorSettings:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}: a mirror onto itself")
        if self.platforms != "all" and not self.platforms:
            raise ValueError("platforms: [] would copy nothing; use all or list some")
        return self


class RetrySettings(ConfigModel):
    """When a failed tag is tried again by later runs."""

    times: Annotated[int, Field(ge=0)] = 3
    wait: Duration = timedelta(minutes=5)
    then_every: Duration = timedelta(hours=1)
