"""SQLAlchemy reaches the database as psycopg does, and its errors are translated alike."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa

from mirror.history import DatabaseAway, create_engine, reachable
from mirror.history.database.address import answering

NOWHERE = "postgresql://mirror:hunter2@127.0.0.1:1/mirror"


def test_a_database_that_is_away_gives_the_error_that_psycopg_gives() -> None:
    engine = create_engine(NOWHERE)
    with pytest.raises(DatabaseAway) as over_sqlalchemy, reachable(NOWHERE), engine.connect():
        pass
    with pytest.raises(DatabaseAway) as over_psycopg, answering(NOWHERE):
        psycopg.connect(NOWHERE)
    assert str(over_sqlalchemy.value) == str(over_psycopg.value)
    assert "127.0.0.1:1/mirror does not answer" in str(over_psycopg.value)
    assert "hunter2" not in str(over_sqlalchemy.value)
    engine.dispose()


def test_a_connection_that_breaks_is_a_database_that_is_away(url: str, engine: sa.Engine) -> None:
    with (
        pytest.raises(DatabaseAway, match="does not answer"),
        reachable(url),
        engine.connect() as connection,
    ):
        connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))


def test_a_mistake_in_a_query_stays_what_it_is(url: str, engine: sa.Engine) -> None:
    with (
        pytest.raises(sa.exc.ProgrammingError, match="nothing_there"),
        reachable(url),
        engine.connect() as connection,
    ):
        connection.execute(sa.text("SELECT * FROM nothing_there"))


def test_times_are_utc_and_a_read_only_engine_refuses_writes(url: str) -> None:
    engine = create_engine(url, read_only=True)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW timezone")) == "UTC"
        with pytest.raises(sa.exc.InternalError, match="read-only transaction"):
            connection.execute(sa.text("DELETE FROM mirror"))
    engine.dispose()
