"""SQLAlchemy's engine for the history: reports, migrations, the site, alerts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from psycopg.errors import LockNotAvailable, QueryCanceled
from sqlalchemy.exc import DBAPIError

from mirror.history.database.address import (
    DRIVER,
    NETWORK,
    OPTIONS,
    READ_ONLY,
    answering,
    parameters,
)


def create_engine(url: str, *, read_only: bool = False) -> sa.Engine:
    """An engine for reports and commands. Sessions are UTC; read_only ones refuse writes.

    Raises BadDatabaseUrl.
    """
    options = OPTIONS + (READ_ONLY if read_only else "")
    return sa.create_engine(
        _sqlalchemy_url(url),
        connect_args={
            "options": options,
            **NETWORK,
            "application_name": "mirror",
            # A generic plan reads every month's partition: plan for the given time.
            "prepare_threshold": None,
        },
        pool_size=2,
        pool_pre_ping=True,
    )


@contextmanager
def reachable(url: str) -> Iterator[None]:
    """The same as address.answering for SQLAlchemy, which wraps the driver's errors."""
    with answering(url):
        try:
            yield
        except DBAPIError as error:
            if isinstance(error.orig, LockNotAvailable | QueryCanceled):
                raise  # not away: another session holds the lock
            if isinstance(error.orig, psycopg.OperationalError | psycopg.InterfaceError):
                raise error.orig from error
            if error.connection_invalidated:
                raise psycopg.OperationalError(str(error.orig)) from error
            raise


def _sqlalchemy_url(url: str) -> sa.URL:
    found = parameters(url)
    user, password = found.pop("user", None), found.pop("password", None)
    database = found.pop("dbname", None)
    # Host and port keep libpq's names: there may be several hosts, or a socket's folder.
    return sa.URL.create(DRIVER, user, password, database=database, query=found)
