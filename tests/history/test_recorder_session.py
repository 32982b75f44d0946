"""What the parts of the recorder share: ids, partitions, and one connection's errors."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
import sqlalchemy as sa

from mirror.history import DatabaseAway, PostgresRecorder, UnknownMirror
from mirror.history.database.errors import HistoryError
from tests.history.values import NOON, row
from tests.support.records import MIRROR


async def test_a_repository_is_inserted_once_and_then_remembered(
    recorder: PostgresRecorder, url: str, engine: sa.Engine
) -> None:
    first = await recorder.repository_named("r.example.com:5000/a/b")
    assert await recorder.repository("r.example.com:5000", "a/b") == first
    async with PostgresRecorder.open(url) as other:
        assert await other.repository("r.example.com:5000", "a/b") == first
    query = "SELECT count(*) AS rows FROM repository WHERE registry = 'r.example.com:5000'"
    assert row(engine, query).rows == 1


async def test_a_mirror_is_read_once(recorder: PostgresRecorder, engine: sa.Engine) -> None:
    found = await recorder.mirror(MIRROR.name)
    assert found.target == MIRROR.target
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE mirror SET name = 'renamed'"))
    assert await recorder.mirror(MIRROR.name) is found
    with pytest.raises(UnknownMirror, match="nobody"):
        await recorder.mirror("nobody")


async def test_partitions_are_created_across_the_end_of_a_month_and_asked_for_once(
    recorder: PostgresRecorder, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = datetime(2033, 6, 28, tzinfo=UTC)
    await recorder.partitions(moment)
    query = "SELECT to_regclass('probe_2033_06') AS this, to_regclass('probe_2033_07') AS next"
    assert None not in row(engine, query)
    monkeypatch.setattr(recorder, "connections", None, raising=True)
    await recorder.partitions(moment.replace(day=1))  # would fail if it asked again
    monkeypatch.undo()  # what closes the recorder needs them
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT drop_partitions('2033-09-01')"))
        connection.execute(sa.text("SELECT make_partitions(now(), now() + interval '3 months')"))


async def test_the_start_of_a_run_is_found_by_another_process(
    recorder: PostgresRecorder, url: str
) -> None:
    run = await recorder.begin_run(MIRROR.name, "manual", full=True, at=NOON)  # type: ignore[arg-type]
    async with PostgresRecorder.open(url) as other:
        assert await other.started_at(run) == NOON
        unknown = str(uuid4())
        with pytest.raises(HistoryError, match=f"no run {unknown}; call begin_run first"):
            await other.started_at(unknown)


async def test_a_connection_that_breaks_is_a_database_that_is_away(
    recorder: PostgresRecorder,
) -> None:
    with pytest.raises(DatabaseAway, match="does not answer"):
        await recorder.rows("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await recorder.known_tags(MIRROR.name) == {}, "the next statement has another one"
