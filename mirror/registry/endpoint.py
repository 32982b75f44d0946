"""Credentials, and where a registry is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mirror.registry.reference import HUB

_HUB_API_HOST = "registry-1.docker.io"
HUB_WEB_API = "https://hub.docker.com"


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and password, or an identity token (docker's config.json: `identitytoken`).

    `origin` says where it comes from (a variable, a file, a helper), for messages. The secret
    itself stands in no repr.
    """

    username: str
    password: str = field(repr=False)
    origin: str = "unknown origin"
    identity_token: str | None = field(default=None, repr=False)


def no_credential(repository: str) -> Credential | None:
    """The anonymous user, for every repository."""
    return None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A registry: `host[:port]`, how to reach it and who we are there.

    insecure: plain http (only then; and a token service over http may be followed).
    ca_file: PEM of a private certificate authority, trusted beside the system's.
    hub_api: base address of Docker Hub's web API, where there is one.
    realm_hosts: further hosts that may see the credential as token services.
    credential: the credential for a repository, asked in a thread, so it may block.
    """

    host: str
    insecure: bool = False
    ca_file: Path | None = None
    hub_api: str | None = None
    credential: Callable[[str], Credential | None] = no_credential
    realm_hosts: frozenset[str] = frozenset()

    @property
    def base(self) -> str:
        """Where the API is: scheme and host; Docker Hub's host differs from its name."""
        host = _HUB_API_HOST if self.host == HUB else self.host
        return f"{'http' if self.insecure else 'https'}://{host}"

    @property
    def web_api(self) -> str | None:
        """Base address of Docker Hub's web API, without a slash at its end; None without one."""
        if self.hub_api is not None:
            return self.hub_api.rstrip("/")
        return HUB_WEB_API if self.host == HUB else None
