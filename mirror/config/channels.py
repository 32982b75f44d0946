"""The section `alerts:` of mirrors.yaml. It holds no secrets, only names of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from mirror.config.base import ConfigModel, EnvName

ChannelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")
Address = Annotated[str, Field(pattern=r"^[^@\s,<>]+@[^@\s,<>]+$")]


class Severity(StrEnum):
    """How urgent an alert is. Only critical alerts go out during quiet hours."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


def _is_host(parts: SplitResult) -> bool:
    """Whether an address is host[:port] without a path."""
    try:
        known = parts.port is None or parts.port > 0
    except ValueError:  # its words contain what stands where the port should be
        return False
    return known and not parts.path.strip("/") and bool(_HOST.fullmatch(parts.netloc))


class _Robot(ConfigModel):
    url: str

    @field_validator("url")
    @classmethod
    def _base(cls, value: str) -> str:
        parts = urlsplit(value.strip())
        if parts.scheme not in ("http", "https") or not _is_host(parts) or parts.query:
            # The value is not shown: robots' addresses are pasted with their token.
            raise ValueError(
                "is not the robot's host such as https://host; its token comes from the environment"
            )
        return value.strip().rstrip("/")


class DingTalkOptions(_Robot):
    """A DingTalk group robot; `secret_env` if it requires signatures."""

    url: str = "https://oapi.dingtalk.com"
    token_env: EnvName
    secret_env: EnvName | None = None
    format: Literal["markdown", "text"] = "markdown"


class FeishuOptions(_Robot):
    """A Feishu group robot; `secret_env` if it requires signatures."""

    url: str = "https://open.feishu.cn"
    token_env: EnvName
    secret_env: EnvName | None = None


class WeComOptions(_Robot):
    """A WeCom group robot. `format: text` for groups read in WeChat, which shows no markdown."""

    url: str = "https://qyapi.weixin.qq.com"
    key_env: EnvName
    format: Literal["markdown", "text"] = "markdown"


class EmailOptions(ConfigModel):
    """A mail server: `smtps://` is TLS from the start, `smtp://` STARTTLS.

    Only `insecure: true` sends without TLS, and then without a login.
    """

    smtp: str
    password_env: EnvName | None = None
    sender: Address
    to: Annotated[tuple[Address, ...], Field(min_length=1)]
    ca_file: str | None = None
    insecure: bool = False

    @model_validator(mode="after")
    def _whole(self) -> EmailOptions:
        parts = urlsplit(self.smtp)
        host = SplitResult("", parts.netloc.rpartition("@")[2], parts.path.strip("/"), "", "")
        if parts.scheme not in ("smtp", "smtps") or not _is_host(host):
            raise ValueError(
                f"smtp: {parts.scheme}://{parts.hostname} is not smtps://user@host:465 or"
                " smtp://user@host:587"
            )
        if parts.password is not None:
            raise ValueError("smtp: contains a password; name its variable in password_env instead")
        if (parts.username is None) != (self.password_env is None):
            raise ValueError("smtp: a login needs the user in smtp and password_env")
        if self.insecure and (parts.scheme == "smtps" or parts.username is not None):
            raise ValueError(
                "insecure: only for smtp://host:port without a user: no login without TLS"
            )
        return self

    @property
    def host(self) -> str:
        """The mail server's host."""
        return urlsplit(self.smtp).hostname or ""

    @property
    def port(self) -> int:
        """The mail server's port: 465 for smtps, 587 for smtp (25 without TLS) by default."""
        parts = urlsplit(self.smtp)
        return parts.port or (465 if self.implicit_tls else 25 if self.insecure else 587)

    @property
    def user(self) -> str | None:
        """The user who logs in."""
        user = urlsplit(self.smtp).username
        return None if user is None else unquote(user)

    @property
    def implicit_tls(self) -> bool:
        """TLS from the first byte, not by STARTTLS."""
        return urlsplit(self.smtp).scheme == "smtps"


class AppriseOptions(ConfigModel):
    """Any service that apprise supports, by the URL in the named variable."""

    url_env: EnvName


class ChannelSettings(ConfigModel):
    """One entry of `alerts:`: a channel, and which alerts it gets."""

    name: ChannelName | None = None
    severities: Annotated[tuple[Severity, ...], Field(min_length=1)] | None = None
    mirrors: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    dingtalk: DingTalkOptions | None = None
    feishu: FeishuOptions | None = None
    wecom: WeComOptions | None = None
    email: EmailOptions | None = None
    apprise: AppriseOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_channel(cls, value: Any) -> Any:
        if isinstance(value, dict) and sum(value.get(kind) is not None for kind in KINDS) != 1:
            raise ValueError(f"an entry names exactly one channel: {', '.join(KINDS)}")
        return value

    @property
    def kind(self) -> str:
        """Which channel it is: a key of KINDS."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    def wants(self, severity: Severity, mirrors: tuple[str, ...]) -> bool:
        """Whether an alert of that severity about those mirrors goes to this channel."""
        if self.severities is not None and severity not in self.severities:
            return False
        return self.mirrors is None or not mirrors or bool(set(self.mirrors) & set(mirrors))


KINDS = ("dingtalk", "feishu", "wecom", "email", "apprise")


def named(entries: tuple[ChannelSettings, ...]) -> dict[str, ChannelSettings]:
    """The entries by name: their own, else their kind, with -2, -3... for further ones.

    Raises ValueError when two entries have the same name.
    """
    result: dict[str, ChannelSettings] = {}
    for entry in entries:
        if entry.name is not None:
            if entry.name in result:
                raise ValueError(f"two entries are named {entry.name}")
            result[entry.name] = entry
    for entry in entries:
        if entry.name is None:
            free = next(name for name in _numbered(entry.kind) if name not in result)
            result[free] = entry
    return result


def _numbered(kind: str) -> Iterator[str]:
    yield kind
    number = 2
    while True:
        yield f"{kind}-{number}"
        number += 1
