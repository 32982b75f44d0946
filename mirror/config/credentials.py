"""Credentials for registries: where they come from, and the Endpoint that carries them.

A repository gets the first of these that exists: the entry `host/repository` of mirrors.yaml, those
for shorter paths, the entry `host` (each names environment variables or a Prefect Secret block);
REGISTRY_AUTH_FILE; docker's config.json with its helpers; podman's auth.json. None: anonymous.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mirror.config.docker_config import auth_files
from mirror.config.models import RegistrySettings
from mirror.config.settings import Settings
from mirror.errors import ConfigError
from mirror.registry import Credential, Endpoint, Reference

SecretLoader = Callable[[str], str]
"""Returns the value of a Prefect Secret block by its name; blocks. Raises ConfigError."""


def endpoint(settings: Settings, host: str, secrets: SecretLoader | None = None) -> Endpoint:
    """How to reach a registry of mirrors.yaml, or one that it does not name, with credentials.

    Nothing is read before the registry asks for a credential; each is then looked up once and kept
    for the life of the endpoint, that is, for a run. `secrets` loads Prefect Secret blocks; it is a
    parameter since only flows/ imports Prefect.
    """
    return replace(anonymous(settings, host), credential=Credentials(settings, host, secrets))


def anonymous(settings: Settings, host: str) -> Endpoint:
    """How to reach a registry without a credential."""
    entry = settings.registry(host)
    return Endpoint(
        host,
        insecure=entry.insecure,
        ca_file=_resolve(settings.path, entry.ca_file),
        realm_hosts=frozenset(entry.realm_hosts),
        storage_hosts=frozenset(entry.storage_hosts),
        hub_api=entry.hub_api,
        most_requests=entry.max_requests,
    )


def require(settings: Settings, repository: str, secrets: SecretLoader | None) -> None:
    """Check that the credential that mirrors.yaml names for `host[:port]/path` exists; blocks.

    Raises ConfigError. Docker's files and helpers are not read: a registry that asks for no
    credential needs none of them.
    """
    reference = Reference.parse(repository)
    Credentials(settings, reference.registry, secrets).configured(reference.repository)


@dataclass(slots=True)
class Credentials:
    """Finds the credential of a repository of one registry. Safe to call from threads; blocks."""

    settings: Settings
    host: str
    secrets: SecretLoader | None = None
    _found: dict[str, Credential | None] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __call__(self, repository: str) -> Credential | None:
        """The credential for that repository (a name without host), or None: anonymous.

        Raises ConfigError that names the registry, the key and the variable, block, file or helper
        at fault, never a value.
        """
        with self._lock:
            if repository not in self._found:
                self._found[repository] = self._find(repository)
            return self._found[repository]

    def configured(self, repository: str) -> Credential | None:
        """The credential that mirrors.yaml names for that repository; None where it names none.

        Raises ConfigError, as for `()`.
        """
        for key, entry in self._entries(repository):
            if entry.username_env or entry.username:
                return self._from_entry(key, entry)
        return None

    def _find(self, repository: str) -> Credential | None:
        if found := self.configured(repository):
            return found
        for file in auth_files(os.environ):
            if found := file.find(self.host, repository):
                return found
        return None

    def _entries(self, repository: str) -> Iterator[tuple[str, RegistrySettings]]:
        parts = [self.host, *(part for part in repository.split("/") if part)]
        for count in range(len(parts), 0, -1):
            key = "/".join(parts[:count])
            if entry := self.settings.registries.get(key):
                yield key, entry

    def _from_entry(self, key: str, entry: RegistrySettings) -> Credential:
        username = (entry.username or "").rstrip("\r\n") or self._variable(
            key, "username_env", entry.username_env or ""
        )
        if entry.password_env:
            password = self._variable(key, "password_env", entry.password_env)
            return Credential(username, password, f"{entry.password_env} from the environment")
        block = entry.password_secret or ""
        if self.secrets is None:
            raise ConfigError(
                f"registries.{key}.password_secret: Prefect's blocks cannot be read here;"
                " name an environment variable with password_env instead"
            )
        return Credential(
            username, self.secrets(block).rstrip("\r\n"), f"Prefect Secret block {block}"
        )

    def _variable(self, key: str, setting: str, name: str) -> str:
        # Files, editors and shells leave a line end behind what they hold.
        value = (os.environ.get(name) or "").rstrip("\r\n")
        if not value:
            raise ConfigError(
                f"{self.settings.path}: registries.{key}.{setting}: the environment variable"
                f" {name} is {'empty' if name in os.environ else 'not set'};"
                " set it or remove the key"
            )
        return value


def _resolve(config: Path, file: Path | None) -> Path | None:
    """A path of mirrors.yaml: relative to the folder of that file if it exists there."""
    if file is None or file.is_absolute():
        return file
    relative = config.parent / file
    return relative if relative.exists() else file


def expires_at(credential: Credential) -> datetime | None:
    """When a credential expires, where it is a token that says so (a JWT's `exp`, RFC 7519); UTC.

    Identity tokens of Azure and passwords from cloud helpers are such tokens. None: the credential
    does not say.
    """
    parts = (credential.identity_token or credential.password).split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(claims["exp"], UTC)
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None
