"""Old workers and a new schema side by side: their statements run, and they go on using it."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import UUID

import psycopg
import pytest

from mirror.history import PostgresRecorder, SchemaBehind, prepare
from mirror.history.database import migrate
from mirror.history.database.address import OPTIONS, conninfo
from mirror.history.database.errors import MigrationBlocked
from mirror.history.database.revision import HEAD
from tests.history.record_program import FOLDER, record
from tests.history.values import begin
from tests.support.records import MIRROR

PROGRAMS = sorted(FOLDER.glob("*.json"))


def decode(value: Any) -> Any:
    """What record_program.encode made JSON of."""
    if isinstance(value, list):
        return [decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "time":
            return datetime.fromisoformat(content)
        case "date":
            return date.fromisoformat(content)
        case "seconds":
            return timedelta(seconds=content)
        case "uuid":
            return UUID(content)
        case _:
            return {name: decode(each) for name, each in content.items()}


def replay(url: str, statements: list[dict[str, Any]]) -> None:
    with psycopg.connect(conninfo(url), autocommit=True, options=OPTIONS) as connection:
        for each in statements:
            values = decode(each["values"])
            with connection.cursor() as cursor:
                if isinstance(values, list):
                    cursor.executemany(each["statement"].encode(), values)
                else:
                    cursor.execute(each["statement"].encode(), values)
                if each["rows"]:
                    cursor.fetchall()


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.stem for program in PROGRAMS])
def test_a_worker_of_an_earlier_version_works_on_the_new_schema(
    empty_url: str, program: Path
) -> None:
    migrate.upgrade(empty_url)
    replay(empty_url, json.loads(program.read_text()))
    with psycopg.connect(conninfo(empty_url)) as connection:
        statuses = "SELECT (SELECT status FROM sync_run), count(*) FROM tag_sync"
        assert connection.execute(statuses).fetchone() == ("partial", 4)


async def test_what_is_recorded_is_all_that_a_worker_sends(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    recording = await record(empty_url)
    sent = " ".join(each["statement"] for each in recording.statements)
    for table in ("sync_run", "tag_sync", "tag_state", "blob_presence", "watch_run", "probe"):
        assert f"INTO {table}" in sent
    json.dumps(recording.statements)


def set_revision(url: str, revision: str) -> None:
    with psycopg.connect(conninfo(url)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", [revision])


async def test_a_newer_schema_that_supports_this_program_is_used(empty_url: str) -> None:
    migrate.upgrade(empty_url)
    set_revision(empty_url, "9999_next")
    prepare(empty_url)  # this one is listed, since the revision that it knows lists itself
    async with PostgresRecorder.open(empty_url) as recorder:
        await recorder.ensure_mirror(MIRROR)
        await begin(recorder)
    with psycopg.connect(conninfo(empty_url)) as connection:
        connection.execute("DELETE FROM supported_program WHERE revision = %s", [HEAD])
    with pytest.raises(SchemaBehind, match=r"9999_next.*a newer version has migrated it; install"):
        prepare(empty_url)
    with pytest.raises(SchemaBehind, match="a newer version"):
        migrate.upgrade(empty_url)


def test_a_migration_lets_go_of_what_it_waits_for_and_tries_again(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_PAUSE", 0.1)
    migrate.upgrade(empty_url, "0001_first")
    with psycopg.connect(conninfo(empty_url)) as sync:
        sync.execute("SELECT count(*) FROM sync_run")  # a transaction that is open for 6 s
        release = Timer(6, sync.rollback)
        release.start()
        migrate.upgrade(empty_url)
        release.join()
    prepare(empty_url)


def test_a_migration_that_is_always_in_the_way_is_named(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "_ATTEMPTS", 1)
    migrate.upgrade(empty_url, "0001_first")
    with psycopg.connect(conninfo(empty_url)) as sync:
        sync.execute("SELECT count(*) FROM sync_run")
        with pytest.raises(MigrationBlocked, match="lock timeout; something holds a table"):
            migrate.upgrade(empty_url)
        sync.rollback()
    migrate.upgrade(empty_url)
