"""The database roles of the history, and their passwords.

The owner migrates, the writer (WRITER) writes rows, the reader (ROLE) reads. Migrations create and
grant them (0006_roles/roles.sql). In the embedded PostgreSQL they need no password: its socket's
folder lets nobody else in.
"""

from __future__ import annotations

import os
from typing import Any, Final

import psycopg
from psycopg import sql

from mirror.history.database.address import WRITER, answering, conninfo
from mirror.history.database.errors import HistoryError

ROLE: Final = "mirror_readonly"
SQL_LOGIN: Final = "mirror_sql"
"""Whose login `mirror sql` uses where the configured user may do more than read."""
GRANTS: Final = "0006_roles/roles.sql"
"""Creates the roles and grants them their rights; may be run again."""
PASSWORDS: Final = {
    "MIRROR_WRITER_PASSWORD": WRITER,
    "MIRROR_READER_PASSWORD": ROLE,
}
"""Environment variables, and the role whose password each one is."""


def set_passwords(url: str) -> tuple[str, ...]:
    """Give the roles the passwords of the environment; the roles that were given one.

    Raises HistoryError where this user may not.
    """
    wanted = {role: os.environ[name] for name, role in PASSWORDS.items() if os.environ.get(name)}
    if not wanted:
        return ()
    with answering(url), psycopg.connect(conninfo(url), autocommit=True) as connection:
        try:
            for role, password in wanted.items():
                set_password(connection, role, password)
        except psycopg.errors.InsufficientPrivilege as error:
            raise HistoryError(
                "this database user may not set the passwords of the roles"
                f" {', '.join(wanted)}: run `mirror migrate` as one with CREATEROLE, or unset"
                f" {' and '.join(PASSWORDS)}"
            ) from error
    return tuple(wanted)


def set_password(
    connection: psycopg.Connection[Any], role: str, password: str, until: str = "infinity"
) -> None:
    """Set a role's password. The server gets its SCRAM verifier, so that no log holds it."""
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL("ALTER ROLE {} LOGIN PASSWORD {} VALID UNTIL {}").format(
            sql.Identifier(role), verifier, until
        )
    )
