"""A real PostgreSQL, built by the migrations.

One embedded server for the session, stopped at its end; its database is emptied before each test.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

from mirror.history.address import embedded_url
from mirror.history.embedded import Cluster
from mirror.history.engine import create_engine
from mirror.history.migrate import upgrade
from mirror.history.models.base import Base

_numbers = itertools.count()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An embedded PostgreSQL of this test session."""
    cluster = Cluster(tmp_path_factory.mktemp("record") / "postgres")
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())  # nothing to keep
        connection.execute("SELECT pg_reload_conf()")
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def migrated(cluster: Cluster) -> str:
    """A database that `upgrade` has brought from empty to head."""
    cluster.ensure_database("mirror")
    url = embedded_url("mirror", cluster)
    upgrade(url)
    return url


@pytest.fixture
def empty_url(cluster: Cluster) -> str:
    """An empty database."""
    name = f"empty_{next(_numbers)}"
    cluster.ensure_database(name)
    return embedded_url(name, cluster)


@pytest.fixture
def url(migrated: str) -> str:
    """A database at head without rows."""
    engine = create_engine(migrated)
    with engine.begin() as connection:
        connection.execute(sa.text("SET session_replication_role = replica"))  # any order will do
        for table in Base.metadata.sorted_tables:
            if table.name != "closed":
                connection.execute(table.delete())
        connection.execute(sa.text("UPDATE closed SET until = '-infinity'"))
    engine.dispose()
    return migrated
