"""A real PostgreSQL, built by the migrations, and a recorder with one mirror in it.

One embedded server for the session, stopped at its end; its database is emptied before each test.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from mirror.history import MirrorRow, PostgresRecorder
from mirror.history.database.address import embedded_url
from mirror.history.database.embedded import Cluster
from mirror.history.database.engine import create_engine
from mirror.history.database.migrate import upgrade
from mirror.history.models.base import Base

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
def migrated(cluster: Cluster) -> str:
    """A database that `upgrade` has migrated from empty to head."""
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
            if table.name not in ("closed", "supported_program"):
                connection.execute(table.delete())
        connection.execute(sa.text("UPDATE closed SET until = '-infinity'"))
    engine.dispose()
    return migrated


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    """Connections to that database."""
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
async def recorder(url: str) -> AsyncIterator[PostgresRecorder]:
    """A recorder for that database, with one mirror."""
    async with PostgresRecorder.open(url) as recorder:
        await recorder.ensure_mirror(MIRROR)
        yield recorder


@pytest.fixture
def deep_folder(tmp_path: Path) -> Path:
    """A folder whose path is longer than a unix socket's may be."""
    return tmp_path / ("deep" * 30)
