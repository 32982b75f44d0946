"""A real PostgreSQL, built by the migrations, for the tests of the history.

One embedded server for the session, stopped at its end; a database of its own for each test,
copied from one that the migrations made.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from flows.history import MirrorRow, Record, create_engine
from flows.history.embedded import Cluster
from flows.history.engine import embedded_url
from flows.history.migrate import upgrade

MIRROR = MirrorRow(
    name="hagicode-aliyun",
    source="docker.io/newbe36524/hagicode",
    target="registry.example.com/hagicode/hagicode",
    every=timedelta(minutes=30),
    watch_every=timedelta(minutes=2),
    delay_goal=timedelta(minutes=30),
)
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


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """Connections to that database."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
async def record(url: str) -> AsyncIterator[Record]:
    """The record in that database, with one mirror."""
    async with Record.open(url) as record:
        await record.ensure_mirror(MIRROR)
        yield record


@pytest.fixture
def deep_folder(tmp_path: Path) -> Path:
    """A folder whose path is longer than a unix socket's may be."""
    return tmp_path / ("deep" * 30)
