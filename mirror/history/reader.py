"""Reading the record by SQL without being able to change it.

Queries run as the role mirror_readonly in read-only transactions. The embedded database takes that
role at its door; on a server this user changes into it, or, where an administrator has not let
it be created, stays what it is and has the read-only transaction alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from mirror.history.address import describe, is_embedded
from mirror.history.embedded import programs
from mirror.history.engine import parse_url
from mirror.history.errors import DatabaseAway, QueryRefused

ROLE = "mirror_readonly"
_OPTIONS = "-c timezone=UTC -c jit=off -c default_transaction_read_only=on"


@dataclass(frozen=True, slots=True)
class Reader:
    """A connection that can only read."""

    connection: psycopg.Connection
    as_role: bool  # False: the role is missing, or this user may not take it on

    @contextmanager
    def query(self, text: str) -> Iterator[psycopg.Cursor]:
        """Run one statement and give a cursor on what it returns.

        Raises QueryRefused with what the database says: several statements at once, a write, or
        anything that it does not understand.
        """
        try:
            with self.connection.transaction(), self.connection.cursor() as cursor:
                # Prepared: the protocol then takes a single statement, so nothing can follow a
                # RESET ROLE.
                cursor.execute(text.encode(), prepare=True)
                yield cursor
        except psycopg.OperationalError as error:
            if error.sqlstate is None:
                raise DatabaseAway(
                    f"the connection to the database broke: {_line(error)}"
                ) from error
            raise QueryRefused(_line(error)) from error
        except psycopg.Error as error:
            raise QueryRefused(_line(error)) from error


@contextmanager
def open_reader(url: str) -> Iterator[Reader]:
    """Connect for reading only. Raises DatabaseAway."""
    try:
        connection = psycopg.connect(
            _address(url, is_embedded(url)),
            options=_OPTIONS,
            connect_timeout=10,
            application_name="mirror sql",
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        raise DatabaseAway(
            f"the database {describe(url)} does not answer: {_line(error)}"
        ) from error
    with connection:
        connection.read_only = True
        yield Reader(connection, _take_role(connection))


def psql(url: str) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of an interactive psql that can only read.

    A server is asked first whether this user may take on the role. Raises DatabaseAway.
    """
    with open_reader(url) as reader:
        role = f" -c role={ROLE}" if reader.as_role else ""
    program = shutil.which("psql") or str(programs() / "psql")
    environment = dict(os.environ) | {"PGOPTIONS": _OPTIONS + role}
    if password := parse_url(url).password:
        environment["PGPASSWORD"] = password  # not among the arguments: all users see those
    address = parse_url(_address(url, is_embedded(url))).set(drivername="postgresql", password=None)
    return [program, address.render_as_string()], environment


def _address(url: str, embedded: bool) -> str:
    address = parse_url(url).set(drivername="postgresql")
    if embedded:
        address = address.set(username=ROLE)
    return address.render_as_string(hide_password=False)


def _take_role(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "SELECT current_user = %(role)s OR EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s"
        " AND pg_has_role(current_user, oid, 'SET'))",
        {"role": ROLE},
    ).fetchone()
    if row is None or not row[0]:
        return False
    connection.execute(f"SET ROLE {ROLE}".encode())
    return True


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
