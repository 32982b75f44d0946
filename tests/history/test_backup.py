"""A backup is restored cleanly: over an existing schema, to another owner, embedded and server."""

from __future__ import annotations

import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mirror.history import (
    BackupFailed,
    PostgresRecorder,
    SchemaBehind,
    back_up,
    prefect_database_url,
    restore,
)
from mirror.history.database import major_version, migrate
from mirror.history.database.address import conninfo, embedded_url
from mirror.history.database.embedded import Cluster
from mirror.history.database.revision import HEAD, current_revision
from mirror.history.models.base import Base
from mirror.outcome import RunOutcome, RunStatus
from mirror.outside_text import one_line
from tests.history.values import begin, change, copied, seen
from tests.support.records import MIRROR

NAME = MIRROR.name
TABLES = sorted(table.name for table in Base.metadata.sorted_tables)
_numbers = itertools.count()


def content(url: str) -> dict[str, list[str]]:
    """Every row of the history, as text."""
    with psycopg.connect(conninfo(url)) as connection:
        return {
            table: sorted(
                row[0] for row in connection.execute(f"SELECT t::text FROM {table} t".encode())
            )
            for table in TABLES
        }


@pytest.fixture
async def written(recorder: PostgresRecorder, url: str) -> str:
    """A history with a run, a tag and a lock that is held by nobody who will come back."""
    async with recorder.target_lock(MIRROR.target):
        run, tag = await begin(recorder), change()
        await recorder.tag_started(run, NAME, tag)
        await recorder.tag_ended(run, NAME, copied(tag, blobs=(1, 2)), seen(tag))
        await recorder.end_run(RunOutcome(NAME, run, RunStatus.SUCCEEDED))
    return url


@pytest.fixture
def prefect(cluster: Cluster) -> str:
    """A database with what Prefect's has: an extension, an enumeration, rows."""
    name = f"prefect_{next(_numbers)}"
    cluster.ensure_database(name)
    url = embedded_url(name, cluster)
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
        connection.execute("CREATE TYPE state_type AS ENUM ('RUNNING', 'COMPLETED')")
        connection.execute("CREATE TABLE flow_run (id serial PRIMARY KEY, state state_type)")
        connection.execute("INSERT INTO flow_run (state) VALUES ('RUNNING'), ('COMPLETED')")
    return url


@pytest.fixture
def file(written: str, prefect: str, tmp_path: Path) -> Path:
    """A backup of both."""
    file = tmp_path / "mirror.backup"
    saved = back_up(written, prefect, file)
    assert [one.name for one in saved] == ["history", "prefect"]
    return file


def runs(url: str) -> list[str]:
    with psycopg.connect(conninfo(url)) as connection:
        return [
            row[0] for row in connection.execute("SELECT state::text FROM flow_run ORDER BY id")
        ]


def test_only_its_user_may_read_a_backup(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        assert tar.getnames() == ["manifest.json", "history.dump", "prefect.dump"]
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_database_s_user_is_no_secret_of_an_address(cluster: Cluster) -> None:
    url = embedded_url("mirror", cluster)
    conninfo(url)
    assert one_line("postgres is the user") == "postgres is the user"


async def test_what_is_there_is_replaced(
    file: Path, written: str, prefect: str, recorder: PostgresRecorder
) -> None:
    before = content(written)
    await begin(recorder)  # since the backup
    await recorder.connections.pool.aclose()
    with psycopg.connect(conninfo(written), autocommit=True) as connection:
        connection.execute("SELECT make_partitions('2033-01-01', '2033-01-02')")
        connection.execute("CREATE VIEW report_newer AS SELECT * FROM mirror")
    with psycopg.connect(conninfo(prefect), autocommit=True) as connection:
        connection.execute("DELETE FROM flow_run")
        connection.execute("CREATE TABLE newer (state state_type)")
    restored = restore(written, prefect, file)
    assert [one.name for one in restored] == ["history", "prefect"]
    assert content(written) == before
    assert runs(prefect) == ["RUNNING", "COMPLETED"]
    migrate.check(written)
    with psycopg.connect(conninfo(written)) as connection:
        newer = "SELECT to_regclass('report_newer'), to_regclass('sync_run_2033_01')"
        assert connection.execute(newer).fetchone() == (None, None)
    async with recorder.target_lock(MIRROR.target):
        await begin(recorder)  # and it works


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[str]:
    """A server on which a user who owns a database may do nothing else."""
    server = Cluster(tmp_path / "tenant" / "postgres")
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE tenant LOGIN")
        connection.execute("CREATE DATABASE rented OWNER tenant")
        connection.execute("CREATE DATABASE prefect OWNER tenant")
    yield embedded_url("rented", server, user="tenant")
    server.stop()


def test_a_server_whose_user_owns_but_its_databases_takes_a_backup_of_an_embedded_one(
    file: Path, written: str, tenant: str
) -> None:
    for _ in range(2):  # empty, and over the schema that is there
        restore(tenant, tenant.replace("/rented", "/prefect"), file)
        assert content(tenant) == content(written)
        assert runs(tenant.replace("/rented", "/prefect")) == ["RUNNING", "COMPLETED"]
    migrate.check(tenant)


def test_a_database_in_use_is_left_alone(file: Path, written: str, prefect: str) -> None:
    before = content(written)
    with (
        psycopg.connect(conninfo(prefect)),
        pytest.raises(BackupFailed, match=r"in use \(1 sessions\): stop `mirror up`"),
    ):
        restore(written, prefect, file)
    assert content(written) == before


async def test_a_restore_that_fails_changes_nothing(
    file: Path, written: str, recorder: PostgresRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await recorder.connections.pool.aclose()
    before = content(written)
    monkeypatch.setattr(
        "mirror.history.database.backup._EMPTY", "DROP TABLE tag_sync CASCADE; SELECT 1 / 0;"
    )
    with pytest.raises(BackupFailed, match="division by zero"):
        restore(written, None, file, force=True)
    assert content(written) == before


def test_what_is_no_backup_and_one_of_a_newer_program_are_refused(
    file: Path, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text("no backup")
    with pytest.raises(BackupFailed, match="is not a backup"):
        restore(written, None, other)
    with pytest.raises(BackupFailed, match="exists already"):
        back_up(written, None, other)
    monkeypatch.setattr("mirror.history.database.backup.current_revision", lambda url: "9999_newer")
    newer = tmp_path / "newer.backup"
    back_up(written, None, newer)
    with pytest.raises(SchemaBehind, match="a newer version"):
        restore(written, None, newer, force=True)
    assert current_revision(written) == HEAD


def test_prefect_s_database_is_found_where_its_server_finds_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MIRROR_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("PREFECT_API_DATABASE_CONNECTION_URL", raising=False)
    assert prefect_database_url() is None
    embedded = Cluster.default()
    try:
        embedded.start()
        assert prefect_database_url() is None
        embedded.ensure_database("prefect")
        assert prefect_database_url() == embedded_url("prefect", embedded)
    finally:
        embedded.stop()
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "postgresql+asyncpg://p:q@db/prefect")
    assert prefect_database_url() == "postgresql://p:q@db/prefect"
    monkeypatch.setenv("PREFECT_API_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:///p.db")
    with pytest.raises(BackupFailed, match="only PostgreSQL"):
        prefect_database_url()


def test_a_program_asked_for_its_version_gets_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_PASSWORD", "planted")
    program = tmp_path / "pg_dump"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/got\necho pg_dump 17.2\n")
    program.chmod(0o755)
    assert major_version(str(program)) == 17
    got = (tmp_path / "got").read_text()
    assert "PATH=" in got
    assert "planted" not in got
