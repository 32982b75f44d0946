"""A server on which the program owns a database and may do nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mirror.history import QueryRefused
from mirror.history.database import migrate
from mirror.history.database.address import embedded_url
from mirror.history.database.embedded import Cluster
from mirror.history.reader import open_reader, psql


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cluster]:
    """A separate server, since roles belong to the whole server."""
    server = Cluster(tmp_path / "postgres")
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE tenant LOGIN")
        connection.execute("CREATE DATABASE rented OWNER tenant")
    yield server
    server.stop()


def test_the_record_works_without_the_right_to_create_roles(server: Cluster) -> None:
    url = embedded_url("rented", server, user="tenant")
    migrate.upgrade(url)
    migrate.check(url)
    with open_reader(url) as reader:
        assert reader.as_role is False
        with reader.query("SELECT count(*) FROM report_freshness") as rows:
            assert rows.fetchone() == (0,)
        with pytest.raises(QueryRefused, match="read-only"), reader.query("DELETE FROM mirror"):
            pass
    assert "role=" not in psql(url)[1]["PGOPTIONS"]
    # The administrator creates the role; the file grants it what it needs, any number of times.
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE mirror_readonly LOGIN")
        connection.execute("GRANT mirror_readonly TO tenant")
    with psycopg.connect(server.conninfo("rented", "tenant"), autocommit=True) as connection:
        for _ in range(2):
            connection.execute(migrate.sql_file("0001_first/reader.sql").encode())
    with (
        open_reader(url) as reader,
        reader.query("SELECT current_user::text, count(*) FROM mirror") as rows,
    ):
        assert reader.as_role is True
        assert rows.fetchone() == ("mirror_readonly", 0)
