"""How a registry is reached, and with which credential."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mirror.outside_text import keep_login, keep_secret
from mirror.registry.spec import HUB

_HUB_API_HOST: Final = "registry-1.docker.io"
_HUB_WEB_API: Final = "https://hub.docker.com"


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and password, or an identity token (docker's config.json: `identitytoken`).

    `origin` is where it comes from (a variable, a file, a helper), for messages. The secret
    itself appears in no repr.
    """

    username: str
    password: str = field(repr=False)
    origin: str = "unknown origin"
    identity_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        keep_login(self.username, self.password)
        keep_secret(self.identity_token or "")


def _anonymous(repository: str) -> Credential | None:
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registry: `host[:port]`, how to reach it and with which credential.

    insecure: plain http (only then; and a token service over http may be followed).
    ca_file: PEM of a private certificate authority, trusted in addition to the system's.
    hub_api: base address of Docker Hub's web API, where there is one.
    realm_hosts: further hosts that may see the credential as token services.
    storage_hosts: further hosts that uploads and redirects may lead to.
    most_requests: requests without a blob body at once, at most; None: as concurrency.py has it.
    credential: the credential for a repository, looked up in a thread, so it may block.
    """

    host: str
    insecure: bool = False
    ca_file: Path | None = None
    hub_api: str | None = None
    credential: Callable[[str], Credential | None] = _anonymous
    realm_hosts: frozenset[str] = frozenset()
    storage_hosts: frozenset[str] = frozenset()
    most_requests: int | None = None

    @property
    def base(self) -> str:
        """Scheme and host of the API; Docker Hub's host differs from its name."""
        host = _HUB_API_HOST if self.host == HUB else self.host
        return f"{'http' if self.insecure else 'https'}://{host}"

    @property
    def web_api(self) -> str | None:
        """Base address of Docker Hub's web API, without a trailing slash; None without one."""
        if self.hub_api is not None:
            return self.hub_api.rstrip("/")
        return _HUB_WEB_API if self.host == HUB else None
