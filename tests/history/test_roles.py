"""Owner, writer and reader: each does its work, and none can do another's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from mirror.history import (
    PostgresRecorder,
    QueryRefused,
    ReaderRefused,
    open_reader,
    set_passwords,
)
from mirror.history.database import migrate
from mirror.history.database.address import conninfo, embedded_url
from mirror.history.database.embedded import Cluster
from mirror.history.database.engine import create_engine
from mirror.history.locks.dead_runs import close_dead_runs
from mirror.history.locks.lock_holder import end_holder, open_connection, read_holder
from mirror.history.maintain import maintain_history
from mirror.history.reader import READER_URL, psql
from mirror.outcome import RunOutcome, RunStatus, SourceTag, Trigger, utcnow
from tests.history.values import begin, change, copied, digest, discovery, plan, seen
from tests.support.records import MIRROR

NAME = MIRROR.name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that asks everybody but its superuser for a password, migrated by the superuser."""
    server = Cluster(tmp_path_factory.mktemp("server") / "postgres")
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        hba = server.folder / "pg_hba.conf"
        hba.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        connection.execute("SELECT pg_reload_conf()")
    server.ensure_database("mirror")
    migrate.upgrade(embedded_url("mirror", server))
    yield server
    server.stop()


@pytest.fixture
def superuser(server: Cluster) -> str:
    """The address as the superuser, as in a compose file with one user."""
    return embedded_url("mirror", server)


def as_role(url: str, role: str, password: str) -> str:
    return url.replace("://postgres@", f"://{role}:{password}@")


ESCAPES = (
    "SELECT set_config('role', 'postgres', false), pg_read_file('PG_VERSION')",
    "SELECT set_config('role', 'none', false), pg_read_file('PG_VERSION')",
    "SELECT set_config('session_authorization', 'postgres', false)",
    "SET SESSION AUTHORIZATION postgres",
    "SET ROLE postgres",
    "SELECT rolpassword FROM pg_authid",
    "COPY (SELECT 1) TO PROGRAM 'cat > /tmp/escaped'",
    "COPY mirror FROM PROGRAM 'id'",
    "COPY (SELECT 1) TO '/tmp/escaped'",
    "SELECT lo_export(1, '/tmp/escaped')",
    "SELECT pg_ls_dir('.')",
    "SELECT pg_reload_conf()",
    "SELECT drop_old_partitions('-infinity')",
    "SELECT make_partitions('2031-01-01', '2031-01-02')",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "DO $$ BEGIN SET ROLE postgres; END $$",
    "DO $$ BEGIN EXECUTE 'DELETE FROM mirror'; END $$",
    "ALTER ROLE mirror_sql SUPERUSER",
    "ALTER SYSTEM SET fsync = off",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "WITH gone AS (DELETE FROM mirror RETURNING 1) SELECT * FROM gone",
    "SELECT 1; DELETE FROM mirror",
)


@pytest.mark.parametrize("query", ESCAPES)
def test_a_query_cannot_leave_the_reader_where_the_configured_user_is_a_superuser(
    superuser: str, query: str
) -> None:
    refused = pytest.raises(QueryRefused)
    with open_reader(superuser) as reader, refused, reader.query(query) as rows:
        rows.fetchall()


def test_a_query_that_leaves_the_role_is_still_the_login_that_can_only_read(superuser: str) -> None:
    with open_reader(superuser) as reader:
        with reader.query("SELECT session_user::text, current_user::text") as rows:
            assert rows.fetchone() == ("mirror_sql", "mirror_readonly")
        with reader.query("RESET ROLE") as rows:
            pass
        refused = pytest.raises(QueryRefused, match="read-only")
        with refused, reader.query("DELETE FROM mirror"):
            pass


def test_readers_may_log_in_at_once(superuser: str) -> None:
    with open_reader(superuser) as first, open_reader(superuser) as second:
        for reader in (first, second):
            with reader.query("SELECT count(*) FROM mirror") as rows:
                assert rows.fetchone() is not None
    (*_, address), environment = psql(superuser)
    with psycopg.connect(address, password=environment["PGPASSWORD"]) as connection:
        assert connection.execute("SELECT session_user::text").fetchone() == ("mirror_sql",)


def test_passwords_come_from_the_environment_and_no_log_holds_them(
    superuser: str, server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set_passwords(superuser) == ()
    monkeypatch.setenv("MIRROR_WRITER_PASSWORD", "wr1te-it")
    monkeypatch.setenv("MIRROR_READER_PASSWORD", "r3ad-it")
    with psycopg.connect(conninfo(superuser), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_statement = 'all'")
        connection.execute("SELECT pg_reload_conf()")
        assert set_passwords(superuser) == ("mirror_writer", "mirror_readonly")
        connection.execute("ALTER SYSTEM RESET log_statement")
        connection.execute("SELECT pg_reload_conf()")
    logged = "".join(file.read_text() for file in (server.folder / "log").iterdir())
    assert "ALTER ROLE" in logged
    assert "wr1te-it" not in logged
    assert "r3ad-it" not in logged
    for role, password in (("mirror_writer", "wr1te-it"), ("mirror_readonly", "r3ad-it")):
        with psycopg.connect(conninfo(as_role(superuser, role, password))) as connection:
            assert connection.execute("SELECT session_user::text").fetchone() == (role,)


def test_the_reader_s_own_login_is_used_where_it_is_configured(
    superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_READER_PASSWORD", "r3ad-it")
    set_passwords(superuser)
    monkeypatch.setenv(READER_URL, as_role(superuser, "mirror_readonly", "r3ad-it"))
    with (
        open_reader("postgresql://nobody@127.0.0.1:1/mirror") as reader,
        reader.query("SELECT session_user::text") as rows,
    ):
        assert reader.as_role
        assert rows.fetchone() == ("mirror_readonly",)
    monkeypatch.setenv(READER_URL, superuser)
    with pytest.raises(ReaderRefused, match=READER_URL), open_reader(superuser):
        pass


@pytest.fixture
def writer(superuser: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address as the writer."""
    monkeypatch.setenv("MIRROR_WRITER_PASSWORD", "wr1te-it")
    set_passwords(superuser)
    return as_role(superuser, "mirror_writer", "wr1te-it")


async def test_the_writer_does_everything_that_a_worker_does(writer: str) -> None:
    async with PostgresRecorder.open(writer) as recorder:
        await recorder.ensure_mirror(MIRROR)
        tag, lost = change(), await begin(recorder)
        async with recorder.target_lock(MIRROR.target) as lock:
            # A month without a partition yet.
            run = await recorder.begin_run(
                NAME, Trigger.SCHEDULE, full=True, at=utcnow() + timedelta(days=700)
            )
            assert await recorder.close_abandoned(NAME, run) == (lost,)
            found = discovery(SourceTag(tag.tag, digest(1)))
            await recorder.discovered(run, NAME, found, plan(tag))
            await recorder.tag_started(run, NAME, tag)
            await recorder.tag_ended(run, NAME, copied(tag, blobs=(1,)), seen(tag))
            await lock.check()
            await recorder.end_run(RunOutcome(NAME, run, RunStatus.SUCCEEDED))
            with open_connection(writer) as connection:
                holder = read_holder(connection, MIRROR.target)
                assert holder is not None
                assert end_holder(connection, holder)
    assert close_dead_runs(writer) == ()
    engine = create_engine(writer)
    assert maintain_history(engine, utcnow()).partitions_made >= 0
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE tag_sync",
        "ALTER TABLE mirror ADD COLUMN mine integer",
        "CREATE TABLE mine (x integer)",
        "TRUNCATE sync_run",
        "UPDATE alembic_version SET version_num = '9999'",
        "SELECT drop_partitions('infinity')",
        "SELECT drop_old_partitions(now())",
        "SELECT pg_read_file('PG_VERSION')",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "ALTER ROLE mirror_readonly PASSWORD 'mine'",
        "SET ROLE postgres",
    ],
)
def test_the_writer_does_not_own_anything(writer: str, statement: str) -> None:
    with (
        psycopg.connect(conninfo(writer)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_a_powerful_user_without_a_login_for_readers_is_refused(tmp_path: Path) -> None:
    server = Cluster(tmp_path / "postgres")
    try:
        with (
            pytest.raises(ReaderRefused, match="set MIRROR_DATABASE_READER_URL"),
            open_reader(embedded_url("postgres", server)),
        ):
            pass
    finally:
        server.stop()
