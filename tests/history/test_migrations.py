"""Migrations create what the models describe, up and down, and keep rows; their SQL is frozen."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from mirror.history import (
    BadDatabaseUrl,
    DatabaseAway,
    PostgresRecorder,
    SchemaBehind,
    prepare,
)
from mirror.history.database import migrate
from mirror.history.database.address import conninfo
from mirror.history.database.engine import create_engine
from mirror.history.database.revision import HEAD, current_revision
from mirror.outcome import Trigger
from tests.support.records import MIRROR

ROOT = Path(__file__).parents[2]
SCRIPTS = ScriptDirectory.from_config(migrate.alembic_config())


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    found = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    return found


def test_the_program_knows_the_newest_migration() -> None:
    assert SCRIPTS.get_heads() == [HEAD]


def views_and_functions(url: str) -> set[str]:
    query = """
        SELECT relname FROM pg_class
        WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """
    with psycopg.connect(conninfo(url)) as connection:
        return {row[0] for row in connection.execute(query)}


def set_revision(url: str, revision: str) -> None:
    with psycopg.connect(conninfo(url)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])


def test_the_sql_of_every_revision_is_frozen() -> None:
    folder = migrate.migrations_dir() / "sql"
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    found = {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*.sql")
    }
    assert found == listed, (
        "the SQL of a released revision never changes: add a revision with its own files;"
        " for one that is not released: cd migrations/sql && sha256sum */*.sql > SHA256SUMS"
    )
    revisions = {script.revision for script in SCRIPTS.walk_revisions()}
    assert {name.partition("/")[0] for name in found} <= revisions


def test_up_down_and_up_again_leaves_what_the_models_describe(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    migrate.check(empty_url)
    there, defined = tables(empty_url), views_and_functions(empty_url)
    migrate.downgrade(empty_url, "base")
    assert tables(empty_url) == {"alembic_version"}
    assert views_and_functions(empty_url) == set()
    migrate.upgrade(empty_url)
    migrate.check(empty_url)
    assert (tables(empty_url), views_and_functions(empty_url)) == (there, defined)


async def test_a_development_database_before_the_squash_keeps_its_rows(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    async with PostgresRecorder.open(empty_url) as recorder:
        await recorder.ensure_mirror(MIRROR)
        run = await recorder.begin_run(MIRROR.name, Trigger.MANUAL, full=True)
        set_revision(empty_url, "0006")
        with pytest.raises(SchemaBehind, match=r"revision 0006.*run `mirror migrate`"):
            prepare(empty_url)
        migrate.upgrade(empty_url)
        assert current_revision(empty_url) == HEAD
        engine = create_engine(empty_url)
        with engine.connect() as connection:
            found = connection.execute(sa.text("SELECT run::text FROM report_recent_runs")).scalar()
        engine.dispose()
        assert found == run


def test_many_may_migrate_at_once(empty_url: str) -> None:
    program = f"from mirror.history.database.migrate import upgrade; upgrade({empty_url!r})"
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in racing]
    assert [process.returncode for process in racing] == [0, 0], said
    assert current_revision(empty_url) == HEAD


def test_a_server_that_is_behind_is_named_with_the_command_to_run(empty_url: str) -> None:
    with pytest.raises(SchemaBehind, match=r"is empty.*run `mirror migrate`"):
        prepare(empty_url)


@pytest.mark.parametrize("revision", ["0001", "0005"])
def test_an_earlier_development_database_is_left_alone_and_the_way_on_is_named(
    empty_url: str, revision: str
) -> None:
    migrate.upgrade(empty_url)
    set_revision(empty_url, revision)
    for attempt in (prepare, migrate.upgrade):
        with pytest.raises(
            SchemaBehind, match=rf"revision {revision} .*migrate it to 0006 .*or drop it"
        ):
            attempt(empty_url)
    assert current_revision(empty_url) == revision


def test_a_schema_of_a_newer_program_is_left_alone(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    set_revision(empty_url, "9999")
    with psycopg.connect(conninfo(empty_url)) as connection:
        connection.execute("DELETE FROM supported_program")
    for attempt in (prepare, migrate.upgrade):
        with pytest.raises(SchemaBehind, match="newer"):
            attempt(empty_url)


def test_a_database_that_is_away_is_named_without_the_password() -> None:
    with pytest.raises(DatabaseAway, match=r"127\.0\.0\.1:1/mirror does not answer") as error:
        prepare("postgresql://mirror:hunter2@127.0.0.1:1/mirror")
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["sqlite:///x.db", "hunter2", "mysql://a:hunter2@b/c"])
def test_an_address_that_is_no_postgres_is_refused(text: str) -> None:
    with pytest.raises(BadDatabaseUrl, match="MIRROR_DATABASE_URL") as error:
        create_engine(text)
    assert "hunter2" not in str(error.value)
