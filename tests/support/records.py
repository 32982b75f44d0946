"""A real PostgreSQL, built by the migrations.

One embedded server for the session, stopped at its end; a database of its own for each test,
copied from one that the migrations made.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from flows.history.embedded import Cluster
from flows.history.engine import embedded_url
from flows.history.migrate import upgrade

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
def template(cluster: Cluster) -> str:
    """The name of a database that `upgrade` has brought from empty to head."""
    cluster.ensure_database("template_of_tests")
    upgrade(embedded_url("template_of_tests", cluster))
    return "template_of_tests"


@pytest.fixture
def empty_url(cluster: Cluster) -> str:
    """An empty database."""
    name = f"empty_{next(_numbers)}"
    cluster.ensure_database(name)
    return embedded_url(name, cluster)


@pytest.fixture
def url(cluster: Cluster, template: str) -> str:
    """A database at head without rows."""
    name = f"record_{next(_numbers)}"
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return embedded_url(name, cluster)
