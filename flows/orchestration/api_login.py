"""The login of Prefect's API: one random secret for each data folder, which only its owner reads.

`mirror up` and `mirror demo` start Prefect's server with it and note the server's address beside
it; commands on the same data folder then use it without a person, but only for that address.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from mirror.errors import ConfigError

LOGIN_ENV = "PREFECT_API_AUTH_STRING"  # of Prefect's clients
SERVER_ENV = "PREFECT_SERVER_API_AUTH_STRING"  # of its server
ORIGINS_ENV = "PREFECT_SERVER_CORS_ALLOWED_ORIGINS"
_SHORTEST = 16
_USER = "mirror"


def login_file(data: Path) -> Path:
    """The file of the login, in a data folder: `user:password`, as Prefect takes it."""
    return data / "prefect-login"


def weakness(login: str) -> str | None:
    """What is wrong with a login of the server, in words; None if nothing is."""
    if not login:
        return "is not set; without it anybody could run commands by the API: set user:password"
    _, colon, password = login.partition(":")
    if not colon or len(password) < _SHORTEST:
        return f"is not user:password with at least {_SHORTEST} characters of password"
    return None


def server_login(data: Path) -> str:
    """The login of the server of this data folder: the environment's, else the folder's own.

    Creates the latter where it is missing. Raises ConfigError for one that is weak or that others
    can read.
    """
    if (given := os.environ.get(SERVER_ENV)) is not None:
        if fault := weakness(given):
            raise ConfigError(f"{SERVER_ENV}: {fault}; unset it to use a random one")
        return given
    file = login_file(data)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(file)
    with os.fdopen(descriptor, "w") as made:
        made.write(f"{random_login()}\n")
    return _read(file)


def random_login() -> str:
    """A login that nobody can guess."""
    return f"{_USER}:{secrets.token_urlsafe(32)}"


def note_address(data: Path, api_url: str) -> None:
    """Note the address of the server that has the login of this data folder."""
    _address_file(data).write_text(f"{api_url}\n")


def use_known_login(data: Path, api_url: str) -> None:
    """Set the login of Prefect's clients to the data folder's, if that is the server at `api_url`.

    A login or a key of the environment stays. Raises ConfigError for one that others can read.
    """
    if os.environ.get(LOGIN_ENV) or os.environ.get("PREFECT_API_KEY"):
        return
    with suppress(FileNotFoundError):
        if _address_file(data).read_text().strip() == api_url.strip().rstrip("/"):
            os.environ[LOGIN_ENV] = _read(login_file(data))


def _address_file(data: Path) -> Path:
    return data / "prefect-address"


def _read(file: Path) -> str:
    if file.stat().st_mode & 0o077:
        raise ConfigError(
            f"{file}: others can read the login of Prefect's API; delete it, and the next"
            " `mirror up` makes another"
        )
    login = file.read_text().strip()
    if fault := weakness(login):
        raise ConfigError(f"{file}: {fault}; delete it, and the next `mirror up` makes another")
    return login
