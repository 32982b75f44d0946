"""Reading the history by SQL without being able to change it.

Queries run as the role mirror_readonly in read-only transactions. The embedded database accepts
that role as a login; on a server the configured user switches to it, or, where it does not exist,
keeps its own role and is protected by the read-only transaction alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import make_conninfo

from mirror.history.address import OPTIONS, READ_ONLY, answering, is_embedded, one_line, parameters
from mirror.history.embedded import programs
from mirror.history.errors import DatabaseAway, QueryRefused

ROLE = "mirror_readonly"
_OPTIONS = OPTIONS + READ_ONLY


@dataclass(frozen=True, slots=True)
class Reader:
    """A connection that can only read."""

    connection: psycopg.Connection
    as_role: bool  # False: the role is missing, or this user may not switch to it

    @contextmanager
    def query(self, text: str) -> Iterator[psycopg.Cursor]:
        """Run one statement and yield a cursor on its result.

        Raises QueryRefused with the database's message: for several statements at once, a write,
        or invalid SQL.
        """
        try:
            with self.connection.transaction(), self.connection.cursor() as cursor:
                # Prepared: the protocol then accepts a single statement, so that nothing can
                # follow a RESET ROLE.
                cursor.execute(text.encode(), prepare=True)
                yield cursor
        except psycopg.OperationalError as error:
            if self.connection.broken:
                raise DatabaseAway(
                    f"the connection to the database broke: {one_line(error)}"
                ) from error
            raise QueryRefused(one_line(error)) from error
        except psycopg.Error as error:
            raise QueryRefused(one_line(error)) from error


@contextmanager
def open_reader(url: str) -> Iterator[Reader]:
    """Connect for reading only. Raises DatabaseAway."""
    with answering(url):
        connection = psycopg.connect(
            make_conninfo("", **_parameters(url)),
            options=_OPTIONS,
            connect_timeout=10,
            application_name="mirror sql",
            autocommit=True,
        )
    with connection:
        connection.read_only = True
        yield Reader(connection, _take_role(connection))


def psql(url: str, *, unicode: bool = True) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of an interactive psql that can only read.

    Wide rows are shown as blocks, long results through the pager that people have set; ~/.psqlrc
    comes later and wins. Connects first, to see whether this user may switch to the role. Raises
    DatabaseAway.
    """
    with open_reader(url) as reader:
        role = f" -c role={ROLE}" if reader.as_role else ""
    environment = {"LESS": "FRX"} | dict(os.environ) | {"PGOPTIONS": _OPTIONS + role}
    address = _parameters(url)
    if password := address.pop("password", None):
        environment["PGPASSWORD"] = password  # not an argument: all users see those
    settings = {
        "expanded": "auto",
        "linestyle": "unicode" if unicode else "ascii",
        "null": "-",
        "border": "1",
        "footer": "on",
    }
    defaults = [f"--pset={name}={value}" for name, value in settings.items()]
    prompt = ["--set=PROMPT1=history%R%# ", "--set=PROMPT2=history%R%# "]
    return [*_program(), *defaults, *prompt, make_conninfo("", **address)], environment


def _program() -> list[str]:
    """The newer psql: of the system, or of the wheel, which lacks line editing."""
    own = programs() / "psql"
    found = shutil.which("psql")
    if found and _major(found) >= _major(str(own)):
        return [found]
    editor = shutil.which("rlwrap") if sys.stdin.isatty() else None
    return [editor, str(own)] if editor else [str(own)]


def _major(program: str) -> int:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"(\d+)", done.stdout)
    return int(match[1]) if match else 0


def _parameters(url: str) -> dict[str, str]:
    return parameters(url) | ({"user": ROLE} if is_embedded(url) else {})


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
