"""Where the record is and how to connect to it.

The record is the PostgreSQL database of MIRROR_DATABASE_URL, or else one in the embedded
PostgreSQL (flows.history.embedded), which is then started.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from flows.history.embedded import SUPERUSER, Cluster
from flows.history.errors import BadDatabaseUrl, DatabaseAway

DATABASE = "mirror"
DRIVER = "postgresql+psycopg"
_SCHEMES = {"postgres", "postgresql", DRIVER}
_seen: set[tuple[str, int]] = set()  # embedded databases that this process knows to be there
_RESTED = 5.0  # seconds unused after which a connection may have died unseen
registry.load("postgresql.psycopg")  # now, not in the middle of the first run
# Days and hours in SQL mean UTC whatever the server thinks; compiling (jit) a query of a report
# takes longer than running it.
_OPTIONS = "-c timezone=UTC -c jit=off"


def database_url() -> str:
    """The record's address as a SQLAlchemy URL for psycopg 3.

    Starts the embedded PostgreSQL and creates its database when MIRROR_DATABASE_URL is unset
    (1 s the first time, 5 ms when it runs). Blocks: from async code, call it in a thread.

    Raises BadDatabaseUrl, EmbeddedFailed.
    """
    configured = os.environ.get("MIRROR_DATABASE_URL")
    if configured:
        return parse_url(configured).render_as_string(hide_password=False)
    return ensure_database(DATABASE)


def ensure_database(name: str) -> str:
    """A database of the embedded PostgreSQL, created unless it is there, as a psycopg URL."""
    cluster = Cluster.default()
    url = embedded_url(name, cluster)
    # A cluster that was made anew in the same place is another one.
    key = (url, (cluster.folder / "PG_VERSION").stat().st_ctime_ns)
    if key not in _seen:
        cluster.ensure_database(name)
        _seen.add(key)
    return url


def embedded_url(name: str, cluster: Cluster | None = None, user: str = SUPERUSER) -> str:
    """The URL of a database of the embedded PostgreSQL; starts the server if need be."""
    socket_dir = str((cluster or Cluster.default()).start())
    url = sa.URL.create(DRIVER, username=user, database=name, query={"host": socket_dir})
    return url.render_as_string(hide_password=False)


def stop() -> bool:
    """Stop the embedded PostgreSQL. False when it was not running. Raises EmbeddedFailed."""
    return Cluster.default().stop()


def parse_url(text: str) -> sa.URL:
    """A PostgreSQL address (postgres://, postgresql://) as a URL for psycopg 3.

    Raises BadDatabaseUrl, which does not repeat the address: it may hold a password.
    """
    try:
        url = sa.make_url(text)
    except ArgumentError:
        url = None
    if url is None or url.drivername not in _SCHEMES:
        raise BadDatabaseUrl(
            "MIRROR_DATABASE_URL: must be like postgresql://user:password@host:5432/mirror"
        )
    return url.set(drivername=DRIVER)


def is_embedded(url: str) -> bool:
    """Whether a URL points into the embedded PostgreSQL of this user."""
    running = Cluster.default().socket_dir()
    return running is not None and parse_url(url).query.get("host") == str(running)


def describe(url: str) -> str:
    """Where a database is, for messages: host and database, without user and password."""
    parsed = parse_url(url)
    host = parsed.host or str(parsed.query.get("host", "local socket"))
    return f"{host}{f':{parsed.port}' if parsed.port else ''}/{parsed.database}"


def create_engine(url: str, *, read_only: bool = False) -> sa.Engine:
    """An engine for reports and commands. Sessions are UTC; read_only ones refuse writes."""
    options = _OPTIONS + (" -c default_transaction_read_only=on" if read_only else "")
    return sa.create_engine(
        parse_url(url),
        connect_args={
            "options": options,
            "connect_timeout": 10,
            "application_name": "mirror",
            # A plan made for any time would look into every month: plan for the one asked for.
            "prepare_threshold": None,
        },
        pool_size=2,
        pool_pre_ping=True,
    )


def create_recorder_engine(url: str) -> AsyncEngine:
    """The recorder's engine: every statement is a transaction of its own, one round trip."""
    engine = create_async_engine(
        parse_url(url),
        connect_args={"options": _OPTIONS, "connect_timeout": 10, "application_name": "mirror"},
        isolation_level="AUTOCOMMIT",
        # Statements take milliseconds: waiting for one of these is sooner done than opening more.
        pool_size=3,
        max_overflow=0,
        pool_timeout=600,
        pool_recycle=1800,
        use_native_hstore=False,  # there is none, and looking for it is a query a connection
    )
    sa.event.listen(engine.sync_engine, "checkout", _revive)
    sa.event.listen(engine.sync_engine, "checkin", _rests)
    return engine


def _rests(_: object, record: ConnectionPoolEntry) -> None:
    record.info["rests_since"] = time.monotonic()


def _revive(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
    """See whether a connection that has rested still stands; the pool replaces it if not.

    pool_pre_ping asks before every statement, which doubles the round trips of a busy run.
    """
    if time.monotonic() - record.info.get("rests_since", math.inf) < _RESTED:
        return
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SELECT 1")
    except psycopg.OperationalError as error:
        raise DisconnectionError from error


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """Turn the driver's errors about the connection into DatabaseAway, one line, no password."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise away(url, error.orig) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise away(url, error.orig) from error
        raise


def away(url: str, error: BaseException | None) -> DatabaseAway:
    """The error of a database that does not answer, from the driver's own."""
    detail = " ".join(str(error).split())
    return DatabaseAway(
        f"the database {describe(url)} does not answer: {detail};"
        " check MIRROR_DATABASE_URL and that the server runs"
    )
