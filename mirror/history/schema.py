"""Whether the record's schema is the one that this program needs."""

from __future__ import annotations

import psycopg
from psycopg.errors import UndefinedTable

from mirror.history.address import answering, conninfo, describe, is_embedded
from mirror.history.errors import SchemaBehind

HEAD = "0001_first"  # the newest migration; a test holds the two together


def current(url: str) -> str | None:
    """The revision that the database is at; None when it is empty. Raises DatabaseAway."""
    try:
        with (
            answering(url),
            psycopg.connect(conninfo(url), connect_timeout=10) as connection,
        ):
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except UndefinedTable:
        return None
    return str(row[0]) if row else None


def prepare(url: str) -> None:
    """Make sure that the record can be used; takes 10 ms when it can.

    The embedded database is migrated by itself. A server's is not: raises SchemaBehind with the
    command to run. Raises DatabaseAway. Blocks: from async code, call it in a thread.
    """
    revision = current(url)
    if revision == HEAD:
        return
    from mirror.history import migrate

    migrate.refuse_unknown(url, revision)
    if not is_embedded(url):
        state = f"at revision {revision}" if revision else "empty"
        raise SchemaBehind(
            f"the database {describe(url)} is {state}, this program needs {HEAD};"
            " run `mirror migrate`"
        )
    migrate.upgrade(url)
