"""The address of the history's database, and the errors of one that does not answer.

The history is the PostgreSQL database of MIRROR_DATABASE_URL, or else one in the embedded
PostgreSQL (embedded.py), which is then started. SQLAlchemy is not imported: that would
take a tenth of the time of an unchanged sync.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote, unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mirror import outside_text
from mirror.history.database.embedded import SUPERUSER, Cluster
from mirror.history.database.errors import BadDatabaseUrl, DatabaseAway

DATABASE: Final = "mirror"
WRITER: Final = "mirror_writer"
"""The role that writes rows. It owns nothing, so it cannot change the schema."""
DRIVER: Final = "postgresql+psycopg"
# Days and hours in SQL mean UTC whatever the server thinks; compiling (jit) a query of a report
# takes longer than running it.
# The server notices within half a minute that a client is gone, as clients do (NETWORK): by
# default it would keep the session of a lost machine, with its locks, for two hours.
OPTIONS: Final = (
    "-c timezone=UTC -c jit=off -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5"
    " -c tcp_keepalives_count=3 -c tcp_user_timeout=25000 -c client_connection_check_interval=10000"
)
READ_ONLY: Final = " -c default_transaction_read_only=on"
# How every connection is opened. Keepalives notice a lost peer while nothing is sent, the timeout
# (milliseconds) while something sent is not acknowledged.
NETWORK: Final[Mapping[str, int | str]] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
# Generated passwords are often pasted unescaped: everything up to the "@"
# that a host follows belongs to them.
_URL: Final = re.compile(
    r"(?:postgres|postgresql|postgresql\+psycopg)://"
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>.*?))?@)?(?P<rest>[^@/?]*(?:[/?].*)?)",
    re.DOTALL,
)
_seen: set[tuple[str, int]] = set()  # embedded databases that this process has seen


def database_url() -> str:
    """The history's address as a SQLAlchemy URL for psycopg 3.

    Starts the embedded PostgreSQL and creates its database when MIRROR_DATABASE_URL is unset
    (1 s the first time, 5 ms when it runs). Blocks: from async code, call it in a thread.

    Raises BadDatabaseUrl, EmbeddedFailed.
    """
    configured = os.environ.get("MIRROR_DATABASE_URL")
    if configured:
        conninfo(configured)
        return f"{DRIVER}://{_escaped(configured)}"
    return _as_user(ensure_database(DATABASE), WRITER)


def owner_url(url: str) -> str:
    """The same database as its owner, who may migrate it.

    In the embedded PostgreSQL that is its superuser; on a server the configured user.
    """
    return _as_user(url, SUPERUSER) if is_embedded(url) else url


def _as_user(url: str, user: str) -> str:
    return re.sub(r"(?<=://)[^@/]*@", f"{user}@", url, count=1)


def ensure_database(name: str) -> str:
    """A database of the embedded PostgreSQL, created if missing, as a psycopg URL."""
    cluster = Cluster.default()
    url = embedded_url(name, cluster)
    # A cluster recreated in the same place is a different one.
    key = (url, (cluster.folder / "PG_VERSION").stat().st_ctime_ns)
    if key not in _seen:
        cluster.ensure_database(name)
        cluster.ensure_role(WRITER)
        _seen.add(key)
    return url


def embedded_url(name: str, cluster: Cluster | None = None, user: str = SUPERUSER) -> str:
    """The URL of a database of the embedded PostgreSQL; starts the server if necessary."""
    socket_dir = str((cluster or Cluster.default()).start())
    return f"{DRIVER}://{user}@/{name}?host={quote(socket_dir, safe='')}"


def stop() -> bool:
    """Stop the embedded PostgreSQL. False when it was not running. Raises EmbeddedFailed."""
    return Cluster.default().stop()


def conninfo(url: str) -> str:
    """An address (postgres://, postgresql://) as libpq's connection string, with NETWORK.

    Raises BadDatabaseUrl, which does not repeat the address: it may hold a password.
    """
    return make_conninfo("", **{**NETWORK, **parameters(url)})


def parameters(url: str) -> dict[str, str]:
    """An address (postgres://, postgresql://) as connection parameters by libpq's names.

    Raises BadDatabaseUrl, which does not repeat the address: it may hold a password.
    """
    try:
        found = conninfo_to_dict(f"postgresql://{_escaped(url)}")
    except psycopg.ProgrammingError:
        raise BadDatabaseUrl(_EXAMPLE) from None
    return {name: str(value) for name, value in found.items() if value is not None}


def is_embedded(url: str) -> bool:
    """Whether a URL points into the embedded PostgreSQL of this user."""
    running = Cluster.default().socket_dir()
    return running is not None and parameters(url).get("host") == str(running)


def describe(url: str) -> str:
    """Where a database is, for messages: host and database, without user and password."""
    parts = parameters(url)
    host, port = parts.get("host") or "local socket", parts.get("port")
    return f"{host}{f':{port}' if port else ''}/{parts.get('dbname')}"


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Turn psycopg's errors about the connection into DatabaseAway, one line, no password."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        if isinstance(error, psycopg.errors.DiskFull) or _NO_SPACE in str(error):
            raise DatabaseAway(
                f"the disk of the database {describe(url)} is full: {one_line(error)};"
                " free space there"
            ) from error
        raise DatabaseAway(
            f"the database {describe(url)} does not answer: {one_line(error)};"
            " check MIRROR_DATABASE_URL and that the server runs"
        ) from error


def one_line(error: psycopg.Error) -> str:
    """What the database or its driver says, as one printable line without secrets."""
    return outside_text.one_line(str(error))


_NO_SPACE: Final = "No space left on device"
_EXAMPLE: Final = (
    "MIRROR_DATABASE_URL: must be like postgresql://user:password@host:5432/mirror, an @ in the"
    " password as %40"
)


def _escaped(url: str) -> str:
    """What follows the scheme, with user and password percent-encoded. Raises BadDatabaseUrl."""
    outside_text.keep_url(url)
    found = _URL.fullmatch(url)
    if found is None or not _is_unicode(url):
        raise BadDatabaseUrl(_EXAMPLE)
    if found["user"] is None:
        return found["rest"]
    names = [found["user"]] if found["password"] is None else [found["user"], found["password"]]
    return f"{':'.join(quote(unquote(name), safe='') for name in names)}@{found['rest']}"


def _is_unicode(text: str) -> bool:
    """False for the bytes of an environment that are no UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
