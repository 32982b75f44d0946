"""SQLAlchemy's engine for the record: reports, migrations, the site, alerts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from mirror.history.address import DRIVER, OPTIONS, away
from mirror.history.errors import BadDatabaseUrl

_SCHEMES = {"postgres", "postgresql", DRIVER}


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


def create_engine(url: str, *, read_only: bool = False) -> sa.Engine:
    """An engine for reports and commands. Sessions are UTC; read_only ones refuse writes."""
    options = OPTIONS + (" -c default_transaction_read_only=on" if read_only else "")
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
