"""Readers can only read, and psql starts without a password among its arguments."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from mirror.history import DatabaseAway, QueryRefused, open_reader, psql
from mirror.history.database.address import conninfo, parameters

NOWHERE = "postgresql://mirror:hunter2@127.0.0.1:1/mirror"


def test_a_reader_is_the_readonly_role_in_a_read_only_transaction(url: str) -> None:
    with open_reader(url) as reader:
        assert reader.as_role
        with reader.query("SELECT current_user::text, current_setting('timezone')") as rows:
            assert rows.fetchone() == ("mirror_readonly", "UTC")
        with pytest.raises(QueryRefused, match="read-only"), reader.query("DELETE FROM mirror"):
            pass
        with reader.query("SELECT 1") as rows:
            assert rows.fetchone() == (1,), "usable after a refusal"


def test_a_connection_that_breaks_is_not_a_refused_query(url: str) -> None:
    with open_reader(url) as reader, psycopg.connect(conninfo(url), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [reader.connection.info.backend_pid])
        with pytest.raises(DatabaseAway, match="broke"), reader.query("SELECT 1"):
            pass


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with (
        pytest.raises(DatabaseAway, match=r"127\.0\.0\.1:1/mirror does not answer") as caught,
        open_reader(NOWHERE),
    ):
        pass
    assert "hunter2" not in str(caught.value)


def test_psql_takes_its_password_from_the_environment(url: str) -> None:
    (program, *_, address), environment = psql(url)
    assert program.endswith("psql")
    assert len(environment["PGPASSWORD"]) > 30
    assert environment["PGPASSWORD"] not in address
    assert "MIRROR_DATABASE_URL" not in environment
    assert "role=mirror_readonly" in environment["PGOPTIONS"]
    assert "default_transaction_read_only=on" in environment["PGOPTIONS"]
    assert conninfo_to_dict(address) == parameters(url) | {"user": "mirror_sql"}
