"""Reading the history by SQL without being able to change it.

Queries run one at a time in read-only transactions, in a session that was logged in as a role that
can only read: a role that a session merely switched to can be left again by a query.

- In the embedded database mirror_readonly is a login.
- MIRROR_DATABASE_READER_URL names the login on a server.
- Without it, a user who may alter roles, such as a superuser, lets `mirror sql` log in as
  mirror_sql with a password that is new each time and good for a minute.
- Any other user switches to mirror_readonly, or, where it does not exist, keeps its own role. A
  query that leaves that role has the rights of that user, in a read-only transaction.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import class_row

from mirror.history.database import (
    NETWORK,
    OPTIONS,
    READ_ONLY,
    ROLE,
    SQL_LOGIN,
    DatabaseAway,
    QueryRefused,
    ReaderRefused,
    answering,
    conninfo,
    is_embedded,
    major_version,
    one_line,
    parameters,
    programs,
    set_password,
)

READER_URL: Final = "MIRROR_DATABASE_READER_URL"
_OPTIONS = f"{OPTIONS}{READ_ONLY} -c statement_timeout=60000"
_USER = """
    SELECT rolsuper OR pg_has_role(oid, 'pg_execute_server_program', 'MEMBER')
               OR pg_has_role(oid, 'pg_read_server_files', 'MEMBER')
               OR pg_has_role(oid, 'pg_write_server_files', 'MEMBER') AS powerful,
           rolsuper OR (rolcreaterole AND EXISTS (
               SELECT FROM pg_roles login WHERE login.rolname = %(login)s
                 AND pg_has_role(pg_roles.oid, login.oid, 'USAGE WITH ADMIN OPTION'))) AS may_alter,
           EXISTS (SELECT FROM pg_roles reader WHERE reader.rolname = %(role)s
                     AND pg_has_role(pg_roles.oid, reader.oid, 'SET')) AS may_switch,
           EXISTS (SELECT FROM pg_roles login WHERE login.rolname = %(login)s) AS has_login
    FROM pg_roles WHERE rolname = current_user
"""
_ONE_AT_A_TIME = "SELECT pg_advisory_lock(hashtextextended('hagicode-mirror sql login', 0))"
_SOON = "SELECT to_char(now() + interval '1 minute', 'YYYY-MM-DD HH24:MI:SSOF')"


@dataclass(frozen=True, slots=True)
class Login:
    """How a reader connects."""

    parameters: dict[str, str]
    as_role: bool  # False: the role is missing, or this user may not switch to it

    @property
    def options(self) -> str:
        """libpq's options."""
        switch = self.as_role and self.parameters.get("user") != ROLE
        return _OPTIONS + (f" -c role={ROLE}" if switch else "")


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
    """Connect for reading only. Raises DatabaseAway, ReaderRefused."""
    with _login(url) as login, answering(url):
        connection = psycopg.connect(
            make_conninfo("", **{**NETWORK, **login.parameters}),
            options=login.options,
            application_name="mirror sql",
            autocommit=True,
        )
    with connection:
        connection.read_only = True
        yield Reader(connection, login.as_role)


def psql(url: str, *, unicode: bool = True) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of an interactive psql that can only read.

    Wide rows are shown as blocks, long results through the pager that people have set; ~/.psqlrc
    comes later and wins. It has to connect within a minute. Raises DatabaseAway, ReaderRefused.
    """
    with _login(url) as login:
        address = dict(login.parameters)
    environment = {"LESS": "FRX"} | dict(os.environ) | {"PGOPTIONS": login.options}
    environment.pop("MIRROR_DATABASE_URL", None)
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
    if found and major_version(found) >= major_version(str(own)):
        return [found]
    editor = shutil.which("rlwrap") if sys.stdin.isatty() else None
    return [editor, str(own)] if editor else [str(own)]


@contextmanager
def _login(url: str) -> Iterator[Login]:
    """How to connect for reading; valid until the exit."""
    if is_embedded(url):
        yield Login(parameters(url) | {"user": ROLE}, as_role=True)
    elif configured := os.environ.get(READER_URL):
        with answering(configured), _connect(configured) as connection:
            rights = _rights(connection)
            if rights.powerful:
                raise ReaderRefused(READER_URL)
            may_switch = rights.may_switch
        yield Login(parameters(configured), as_role=may_switch)
    else:
        with answering(url), _connect(url) as connection:
            rights = _rights(connection)
            if rights.may_alter and rights.has_login:
                yield _one_time_login(connection, url)
            elif rights.powerful:
                raise ReaderRefused("MIRROR_DATABASE_URL")
            else:
                yield Login(parameters(url), as_role=rights.may_switch)


def _connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(conninfo(url), autocommit=True, application_name="mirror sql login")


@dataclass(frozen=True, slots=True)
class _Rights:
    """What the configured user may do, and what there is."""

    powerful: bool
    may_alter: bool
    may_switch: bool
    has_login: bool


def _rights(connection: psycopg.Connection[Any]) -> _Rights:
    with connection.cursor(row_factory=class_row(_Rights)) as cursor:
        cursor.execute(_USER, {"role": ROLE, "login": SQL_LOGIN})
        return cursor.fetchone() or _Rights(True, False, False, False)


def _one_time_login(connection: psycopg.Connection[Any], url: str) -> Login:
    """The login mirror_sql with a new password. Its lock is held until it has connected."""
    connection.execute(_ONE_AT_A_TIME)
    password = secrets.token_urlsafe(24)
    (until,) = connection.execute(_SOON).fetchone() or ("now",)
    set_password(connection, SQL_LOGIN, password, until)
    return Login(parameters(url) | {"user": SQL_LOGIN, "password": password}, as_role=True)
