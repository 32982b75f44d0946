"""Logins of docker and podman on this machine: config.json, auth.json, helpers.

Read, never written. The formats are those of docker's CLI reference ("Credential stores",
"Credential helpers") and of containers-auth.json(5): keys may name a host, a host with a path
(the longest match wins), or Docker Hub as `https://index.docker.io/v1/`.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mirror.errors import ConfigError
from mirror.registry import Credential

HUB_KEY = "https://index.docker.io/v1/"
HELPER_TIMEOUT = 30.0  # seconds; a helper that prompts at a terminal never answers
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_TOKEN_USER = "<token>"  # noqa: S105 - helpers say so that the secret is an identity token


def _none_as_empty(value: object) -> object:
    return {} if value is None else value


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identity_token: str | None = Field(None, alias="identitytoken")


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    auths: Annotated[Mapping[str, _Entry], BeforeValidator(_none_as_empty)] = {}
    helpers: Annotated[Mapping[str, str], BeforeValidator(_none_as_empty)] = Field(
        {}, alias="credHelpers"
    )
    store: str | None = Field(None, alias="credsStore")


@dataclass(frozen=True, slots=True)
class AuthFile:
    """One file of logins; `shown` is its path as messages give it (`~/.docker/config.json`)."""

    path: Path
    shown: str

    def find(self, host: str, repository: str) -> Credential | None:
        """The credential for host/repository, or None when the file has none.

        Blocks: it reads the file and may run a helper program. As with docker, the helper named
        for the registry goes first, then the file's credential store, then the file's own
        entries. Raises ConfigError for an unreadable file and for a helper that is missing, fails
        or gives a malformed answer.
        """
        content = self._read()
        if content is None:
            return None
        places = tuple(_places(host, repository))
        helpers = {_place(key): program for key, program in content.helpers.items()}
        for place in places:
            if program := helpers.get(place):
                if found := self._ask(program, place):
                    return found
                break
        if content.store and (found := self._ask(content.store, places[-1])):
            return found
        entries = {_place(key): entry for key, entry in content.auths.items()}
        for place in places:
            if (entry := entries.get(place)) and (found := self._inline(place, entry)):
                return found
        return None

    def _read(self) -> _File | None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.shown}: cannot be read ({_reason(error)})") from error
        try:
            return _File.model_validate(json.loads(text or "{}"))
        except json.JSONDecodeError as error:
            # `from None`: a JSONDecodeError carries the whole text, secrets included.
            raise ConfigError(
                f"{self.shown}: not valid JSON: line {error.lineno}: {error.msg}"
            ) from None
        except ValidationError as error:
            keys = ", ".join(
                ".".join(str(part) for part in problem["loc"]) for problem in error.errors()
            )
            raise ConfigError(
                f"{self.shown}: not in the format of docker's config.json: {keys}"
            ) from None

    def _ask(self, suffix: str, place: str) -> Credential | None:
        program = f"docker-credential-{suffix}"
        named = f"registry {place}: credential helper {program}, named by {self.shown},"
        server = HUB_KEY if place == "docker.io" else place
        try:
            answer = subprocess.run(
                [program, "get"],
                input=server.encode(),
                capture_output=True,
                env=os.environ,  # all of it, as docker does: it may log in to a cloud
                timeout=HELPER_TIMEOUT,
                check=False,
            )
        except FileNotFoundError as error:
            raise ConfigError(f"{named} is not on PATH; install it or log in again") from error
        except subprocess.TimeoutExpired as error:
            raise ConfigError(f"{named} did not answer in {HELPER_TIMEOUT:.0f} s") from error
        except OSError as error:
            raise ConfigError(f"{named} cannot be run ({_reason(error)})") from error
        if answer.returncode != 0:
            # Helpers report on stdout.
            said = (answer.stdout or answer.stderr).decode(errors="replace").strip()
            if "not found" in said.lower():
                return None
            # Nothing else of it is shown: it may be the secret, or quote it.
            raise ConfigError(
                f"{named} failed with code {answer.returncode}; see what it says with"
                f" `echo {server} | {program} get`, or log in again"
            )
        try:
            found = json.loads(answer.stdout)
            username, secret = (str(found[key]).rstrip("\r\n") for key in ("Username", "Secret"))
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f"{named} gave an answer that is not a credential") from None
        origin = f"credential helper {program}"
        if username == _TOKEN_USER:
            return Credential(username, "", origin, identity_token=secret)
        return Credential(username, secret, origin)

    def _inline(self, place: str, entry: _Entry) -> Credential | None:
        username = (entry.username or "").rstrip("\r\n")
        password = (entry.password or "").rstrip("\r\n")
        if entry.auth:
            try:
                decoded = base64.b64decode("".join(entry.auth.split()), validate=True).decode()
                username, colon, password = decoded.rstrip("\0\r\n").partition(":")
                username = username.rstrip("\r\n")
            except (binascii.Error, UnicodeDecodeError):
                colon = ""
            if not colon:
                raise ConfigError(
                    f"{self.shown}: auths of {place}: auth is not base64 of user:password;"
                    " log in again"
                ) from None
        if entry.identity_token:
            return Credential(username, password, self.shown, identity_token=entry.identity_token)
        return Credential(username, password, self.shown) if username or password else None


def auth_files(environ: Mapping[str, str]) -> tuple[AuthFile, ...]:
    """The files that may hold logins, in order of precedence.

    REGISTRY_AUTH_FILE when set; docker's config.json (under DOCKER_CONFIG when set); podman's
    auth.json in the runtime and in the configuration folder.
    """
    home = Path(environ.get("HOME") or Path.home())
    paths = []
    if named := environ.get("REGISTRY_AUTH_FILE"):
        paths.append(Path(named))
    paths.append(Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json")
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        paths.append(Path(runtime) / "containers" / "auth.json")
    configuration = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    paths.append(configuration / "containers" / "auth.json")
    return tuple(AuthFile(path, _shown(path, home)) for path in dict.fromkeys(paths))


def _shown(path: Path, home: Path) -> str:
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _places(host: str, repository: str) -> Iterator[str]:
    """`host/a/b`, `host/a`, `host`: the matching keys, the longest first."""
    parts = [_place(host), *(part for part in repository.split("/") if part)]
    for count in range(len(parts), 0, -1):
        yield "/".join(parts[:count])


def _place(key: str) -> str:
    """A key of an auth file without its scheme and API version; Hub's names become docker.io."""
    place = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    host, slash, path = place.partition("/")
    if path in ("v1", "v2"):
        slash = path = ""
    return ("docker.io" if host in _HUB_NAMES else host) + slash + path


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
