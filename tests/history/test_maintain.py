"""Partitions are created ahead and dropped, days are closed, and their figures stay the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from mirror.history import PostgresRecorder, figures, reports
from mirror.history.database.errors import HistoryError
from mirror.history.maintain import maintain_history
from mirror.outcome import Quota, RunOutcome, RunStatus, Trigger
from tests.history.made_history import NAME, NOW, at, make_history
from tests.history.values import change, copied, seen
from tests.support.records import MIRROR

GROWING = ("sync_run", "tag_sync", "watch_run", "probe", "quota_reading")


def months(engine: sa.Engine, table: str = "tag_sync") -> list[str]:
    query = (
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:t AS regclass)"
    )
    with engine.connect() as connection:
        names = connection.scalars(sa.text(query), {"t": table}).all()
    return sorted(name.removeprefix(f"{table}_") for name in names)


@pytest.fixture(autouse=True)
def _months_of_today(engine: sa.Engine) -> None:
    """Months left by earlier tests are dropped: none before November 2026."""
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT drop_partitions('2026-11-01')"))


def test_partitions_are_there_three_months_ahead(engine: sa.Engine) -> None:
    maintain_history(engine, NOW)
    for table in GROWING:
        assert set(months(engine, table)) >= {"2026_11", "2026_12", "2027_01", "2027_02"}
    assert maintain_history(engine, NOW).partitions_made == 0


async def test_the_recorder_makes_a_month_that_nobody_made(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    moment = datetime(2031, 5, 3, tzinfo=UTC)
    await recorder.begin_run(NAME, Trigger.MANUAL, full=True, at=moment)
    await recorder.add_quota(Quota("docker.io", None, 100, 50, 3600, moment))
    assert "2031_05" in months(engine)
    with engine.begin() as connection:  # later tests look at the months
        for table in ("tag_sync", "sync_run"):
            connection.execute(sa.text(f"ALTER TABLE {table} DETACH PARTITION {table}_2031_05"))
            connection.execute(sa.text(f"DROP TABLE {table}_2031_05"))


async def test_months_older_than_thirteen_go_and_their_figures_and_tags_stay(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    runs = await make_history(recorder, engine)
    before = reports.read_report(engine, None, NAME, NOW).mirrors[0]
    year_later = datetime(2028, 1, 2, 3, 0, tzinfo=UTC)
    assert maintain_history(engine, NOW).partitions_dropped == 0
    done = maintain_history(engine, year_later - timedelta(days=31))
    assert (done.partitions_dropped, "2026_11" in months(engine)) == (0, True)
    done = maintain_history(engine, year_later)
    assert done.partitions_dropped >= len(GROWING)
    assert "2026_11" not in months(engine)
    after = reports.read_report(engine, None, NAME, year_later).mirrors[0]
    assert (after.runs, after.tags) == (before.runs, before.tags)
    assert (after.delay.samples, after.delay.max) == (before.delay.samples, before.delay.max)
    assert after.delay.p50 == pytest.approx(before.delay.p50, rel=0.025)
    assert after.days == before.days
    history = (
        "SELECT available_at, delay_seconds, run::text FROM report_tag_history WHERE tag = '0.3'"
    )
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(sa.text(history))]
    assert rows == [(at(20, 11, 7), 1320.0, runs[3])]


async def test_a_day_is_closed_an_hour_after_it_ended(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    await make_history(recorder, engine)
    assert maintain_history(engine, datetime(2026, 11, 22, 0, 59, tzinfo=UTC)).closed_until == at(
        21, 0
    )
    assert maintain_history(engine, datetime(2026, 11, 22, 1, 0, tzinfo=UTC)).closed_until == at(
        22, 0
    )


async def test_what_comes_late_is_counted_all_the_same(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    await make_history(recorder, engine)
    maintain_history(engine, NOW)
    # A worker whose clock is an hour behind ends a run of yesterday after yesterday was closed.
    run = await recorder.begin_run(NAME, Trigger.MANUAL, True, at=at(21, 23, 10))
    tag = change("0.9", 90, pushed_at=at(21, 23), detected_at=at(21, 23))
    await recorder.tag_ended(run, NAME, copied(tag, at(21, 23, 11)), seen(tag, at(21, 23, 11)))
    await recorder.end_run(RunOutcome(NAME, run, RunStatus.SUCCEEDED), at=at(21, 23, 12))
    maintain_history(engine, NOW + timedelta(days=1))
    found = reports.read_report(engine, None, NAME, NOW).mirrors[0]
    assert found.runs == figures.Runs(succeeded=5, partial=1, failed=1, abandoned=1)
    assert found.tags.succeeded == 7


async def test_maintaining_twice_changes_nothing(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    await make_history(recorder, engine)
    maintain_history(engine, NOW)
    first = reports.read_report(engine, None, NAME, NOW)
    maintain_history(engine, NOW)
    assert reports.read_report(engine, None, NAME, NOW) == first


async def test_a_killed_run_of_a_mirror_nobody_syncs_any_more_is_closed(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    async with recorder.target_lock(MIRROR.target):
        await recorder.begin_run(NAME, Trigger.MANUAL, True, at=NOW - timedelta(days=2))
        assert maintain_history(engine, NOW).runs_closed == 0  # it lives: it holds the lock
    assert maintain_history(engine, NOW).runs_closed == 1
    assert reports.read_report(engine, None, NAME, NOW).mirrors[0].runs.abandoned == 1


def test_two_do_not_maintain_at_once(engine: sa.Engine) -> None:
    key = "hashtextextended('hagicode-mirror maintain', 0)"
    with engine.connect() as other:
        other.execute(sa.text(f"SELECT pg_advisory_xact_lock({key})"))
        with pytest.raises(HistoryError, match="another maintenance"):
            maintain_history(engine, NOW)


def test_a_reader_does_not_stop_the_making_of_partitions(engine: sa.Engine) -> None:
    with engine.connect() as reader:
        reader.execute(sa.text("SELECT count(*) FROM tag_sync"))  # an open transaction
        with engine.begin() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '1s'"))
            made = connection.scalar(sa.text("SELECT make_partitions('2032-01-01', '2032-01-01')"))
            assert made == len(GROWING)
            connection.rollback()


async def test_reports_of_pushes_are_dropped_after_thirteen_months(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    await make_history(recorder, engine)
    insert = sa.text(
        "INSERT INTO hook_event (id, received_at, kind, sender, repository)"
        " VALUES (gen_random_uuid(), :at, 'generic', '127.0.0.1', 'team/app')"
    )
    with engine.begin() as connection:
        for moment in (at(20, 11), datetime(2027, 12, 20, tzinfo=UTC)):
            connection.execute(insert, {"at": moment})
    maintain_history(engine, datetime(2028, 1, 2, 3, 0, tzinfo=UTC))
    with engine.connect() as connection:
        left = connection.scalars(sa.text("SELECT received_at FROM hook_event")).all()
    assert left == [datetime(2027, 12, 20, tzinfo=UTC)]
