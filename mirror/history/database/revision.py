"""The revision of the history's schema: the one that this program needs, and a database's."""

from __future__ import annotations

import psycopg
from psycopg.errors import UndefinedTable

from mirror.history.database.address import answering, conninfo

HEAD = "0012_totals"  # the newest migration; a test compares the two


def current_revision(url: str) -> str | None:
    """The revision that the database is at; None when it is empty. Raises DatabaseAway."""
    try:
        with (
            answering(url),
            psycopg.connect(conninfo(url)) as connection,
        ):
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except UndefinedTable:
        return None
    return str(row[0]) if row else None


def supports_this_program(url: str) -> bool:
    """Whether a schema that is newer than this program may be used by it. Raises DatabaseAway."""
    try:
        with answering(url), psycopg.connect(conninfo(url)) as connection:
            found = "SELECT FROM supported_program WHERE revision = %s"
            return connection.execute(found, [HEAD]).fetchone() is not None
    except UndefinedTable:
        return False
