"""Registries, mirrors and retries of mirrors.yaml, as frozen models."""

from __future__ import annotations

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mirror.config.base import BlockName, ConfigModel, EnvName, Mistake
from mirror.config.limits import LimitSettings
from mirror.config.platform_names import platform
from mirror.config.registry_names import repository
from mirror.registry import is_tag
from mirror.units import ClockTime, Duration, Rate, TimeZone


def _pattern(value: str) -> str:
    if value.startswith("re:"):
        try:
            re.compile(value[3:])
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from error
    elif wrong := re.search(r"[^A-Za-z0-9_.\-*?\[\]!]", value):
        raise ValueError(
            f"{value!r} matches no tag: tags have no {wrong[0]!r}; write each pattern as an item of"
            " the list, a regular expression after re:"
        )
    elif not value:
        raise ValueError("an empty pattern matches no tag; write '*' for all")
    return value


def _semver(value: str) -> str:
    from semantic_version import NpmSpec

    try:
        NpmSpec(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a SemVer range such as >=0.1.0 <1 or ^2") from error
    return value


def _platforms(value: object) -> object:
    items = value if isinstance(value, list | tuple) else [value]
    names: list[str] = []
    for item in items:
        if isinstance(item, Mistake):
            raise ValueError(item.message)
        if not isinstance(item, str):
            raise ValueError("must be all or a list such as [linux/amd64, linux/arm64]")
        names.append(item)
    if not names:
        raise ValueError("[] would copy nothing; use all or list some")
    if any(item.strip().lower() == "all" for item in names):
        if len(names) > 1:
            raise ValueError("all already includes the others; write all, or list some")
        return "all"
    return tuple(dict.fromkeys(platform(item) for item in names))


def _web_api(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"not an address such as {HUB_API}")
    return value.rstrip("/")


def _realm_host(value: str) -> str:
    host = re.sub(r"^https?://", "", value.strip(), flags=re.IGNORECASE).rstrip("/").lower()
    if not re.fullmatch(r"[a-z0-9._-]+(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?", host):
        raise ValueError("not a host[:port] such as auth.example.com")
    return host


def _key_file(value: Path) -> Path:
    if "://" in str(value) or ":/" in str(value):  # a Path makes one slash of two
        raise ValueError(
            "must be the path of a file; a key that is elsewhere is written to one by"
            " `cosign public-key --key ADDRESS`"
        )
    return value


HUB_API = "https://hub.docker.com"
RepositoryName = Annotated[str, AfterValidator(repository)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Semver = Annotated[str, AfterValidator(_semver)]
Platforms = Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_platforms)]


class RegistrySettings(ConfigModel):
    """How to reach one registry; credentials by the name of their variable or block."""

    insecure: bool = False
    ca_file: Path | None = None
    username_env: EnvName | None = None
    password_env: EnvName | None = None
    username: str | None = None
    password_secret: BlockName | None = None
    hub_api: Annotated[str, AfterValidator(_web_api)] | None = None
    realm_hosts: tuple[Annotated[str, AfterValidator(_realm_host)], ...] = Field(
        (), description="further hosts whose token services may see the credential"
    )
    storage_hosts: tuple[Annotated[str, AfterValidator(_realm_host)], ...] = Field(
        (), description="further hosts that uploads and redirects may lead to"
    )
    max_requests: Annotated[int, Field(ge=1, le=1024)] = Field(
        256, description="requests at once to the registry, at most, by each client of a mirror"
    )
    max_syncs: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        None, description="syncs at once that use the registry, at most, of all workers together"
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
            if template is None:
                continue
            if "{tag}" not in template:
                raise ValueError(f"{key}: {template!r} must contain {{tag}}")
            allowed = ("tag",) if key == "rename" else ("tag", "digest", "date")
            sample = template
            for place in allowed:
                sample = sample.replace(f"{{{place}}}", "1")
            if not is_tag(sample):
                places = ", ".join(f"{{{place}}}" for place in allowed)
                raise ValueError(
                    f"{key}: {template!r} makes no tag: besides {places} only letters, digits,"
                    " '.', '_', '-'"
                )
        return self


class VerifySettings(ConfigModel):
    """By which key a mirror's images must be signed, or they are not mirrored."""

    cosign_key: Annotated[Path, AfterValidator(_key_file)]
    wait: Duration = timedelta(minutes=15)


_LOOKS_EVERY = timedelta(seconds=15)


class MirrorPolicy(ConfigModel):
    """What is mirrored of a repository, and when."""

    name: str = ""
    source: str
    target: str
    tags: TagPolicy = TagPolicy()
    platforms: Platforms = "all"
    attestations: Literal["keep", "drop"] = "keep"
    referrers: bool = True
    every: Duration = timedelta(minutes=30)
    watch_every: Duration = timedelta(minutes=2)
    delay_goal: Duration = timedelta(minutes=30)
    rate_limit: Annotated[RateLimitSettings | None, BeforeValidator(_rate_limit)] = None
    limits: LimitSettings | None = None
    verify: VerifySettings | None = None

    @property
    def looks_every(self) -> timedelta:
        """Between looks of a running `mirror watch`: as written, else as soon as it can afford."""
        return self.watch_every if "watch_every" in self.model_fields_set else _LOOKS_EVERY

    @model_validator(mode="after")
    def _not_itself(self) -> MirrorPolicy:
        if self.source == self.target:
            raise ValueError(f"source and target are both {self.source}: a mirror onto itself")
        return self


class MirrorSettings(MirrorPolicy):
    """One mirror: a source repository kept at a target repository."""

    source: RepositoryName
    target: RepositoryName


class RetrySettings(ConfigModel):
    """When a failed tag is tried again by later runs."""

    times: Annotated[int, Field(ge=0)] = 3
    wait: Duration = timedelta(minutes=5)
    then_every: Duration = timedelta(hours=1)
