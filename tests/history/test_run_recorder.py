"""Runs are written when they start, with what was discovered and how they ended."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from mirror.history import (
    PostgresRecorder,
)
from mirror.outcome import (
    Plan,
    Reason,
    Requests,
    RunOutcome,
    RunStatus,
    Seconds,
    SourceTag,
    TagFailure,
    TagTally,
    Trigger,
)
from tests.history.values import (
    NOON,
    begin,
    change,
    copied,
    digest,
    discovery,
    plan,
    row,
    seen,
)
from tests.support.records import MIRROR

NAME = MIRROR.name


async def test_a_run_is_written_before_it_works(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run = await recorder.begin_run(NAME, Trigger.WATCH, full=False, flow_run_id="prefect-1")
    found = row(engine, "SELECT id::text, status, trigger, complete, flow_run_id FROM sync_run")
    assert tuple(found) == (run, "running", "watch", False, "prefect-1")


async def test_a_run_ends_with_its_figures(recorder: PostgresRecorder, engine: sa.Engine) -> None:
    run = await begin(recorder)
    outcome = RunOutcome(
        NAME,
        run,
        RunStatus.PARTIAL,
        TagTally(9, 3, 2, 1),
        bytes_copied=7_000_000_000,
        requests=Requests(4, 5),
        seconds=Seconds(0.5, 0.1, 2, 1, 3),
        errors=(TagFailure("0.2", Reason.QUOTA, "0.2: quota"),),
        warnings=("careful",),
    )
    await recorder.end_run(outcome)
    found = row(
        engine,
        "SELECT status, tags_discovered, tags_changed, tags_copied, tags_failed, bytes_copied,"
        " requests_source, requests_target, seconds_total, reason, warnings FROM sync_run",
    )
    assert tuple(found) == ("partial", 9, 3, 2, 1, 7_000_000_000, 4, 5, 3.0, None, ["careful"])


async def test_a_tag_without_a_known_digest_is_a_failed_tag_record(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run = await begin(recorder)
    errors = (TagFailure("0.2", Reason.NOT_FOUND, "0.2: no such manifest"),)
    await recorder.end_run(RunOutcome(NAME, run, RunStatus.FAILED, errors=errors))
    assert tuple(row(engine, "SELECT tag, status, reason, kind FROM tag_sync")) == (
        "0.2",
        "failed",
        "not_found",
        None,
    )


async def test_a_run_that_failed_as_a_whole_says_why(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run = await begin(recorder)
    errors = (
        TagFailure("0.2", Reason.NOT_FOUND, "0.2"),
        TagFailure(None, Reason.AUTH, "registry.example.com: wrong password"),
    )
    await recorder.end_run(RunOutcome(NAME, run, RunStatus.FAILED, errors=errors))
    assert tuple(row(engine, "SELECT reason, message FROM sync_run")) == (
        "auth",
        "registry.example.com: wrong password",
    )


async def test_an_unchanged_discovery_writes_nothing(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run, tags = await begin(recorder), [SourceTag(f"0.{n}", digest(n)) for n in range(50)]
    await recorder.known_tags(NAME)
    await recorder.discovered(run, NAME, discovery(*tags), plan())
    before = row(engine, "SELECT sum(xmin::text::bigint), count(*) FROM tag_state")
    await recorder.known_tags(NAME)
    await recorder.discovered(run, NAME, discovery(*tags), plan())
    assert row(engine, "SELECT sum(xmin::text::bigint), count(*) FROM tag_state") == before
    assert before[1] == 50


async def test_gone_tags_are_marked_and_come_back(recorder: PostgresRecorder) -> None:
    run, tag = await begin(recorder), SourceTag("0.1", digest(1))
    await recorder.discovered(run, NAME, discovery(tag), plan())
    await recorder.discovered(run, NAME, discovery(), plan(gone=("0.1",)), at=NOON)
    assert (await recorder.known_tags(NAME))["0.1"].gone_at == NOON
    await recorder.discovered(run, NAME, discovery(tag), plan())
    assert (await recorder.known_tags(NAME))["0.1"].gone_at is None


async def test_an_adopted_tag_is_known_as_copied(recorder: PostgresRecorder) -> None:
    run, tag = await begin(recorder), change()
    adopted = Plan((), unchanged=0, adopted=(tag,))
    await recorder.discovered(run, NAME, discovery(SourceTag(tag.tag, tag.digest)), adopted)
    known = (await recorder.known_tags(NAME))[tag.tag]
    assert (known.copied_digest, known.target_digest) == (tag.digest, tag.digest)


async def test_a_tag_keeps_the_size_and_the_platforms_that_the_source_reports(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    reported = SourceTag("1.0", digest(1), NOON, size=412, platforms=("linux/amd64", "linux/arm64"))
    run = await begin(recorder)
    await recorder.discovered(run, NAME, discovery(reported), plan())
    found = row(engine, "SELECT size, platforms FROM tag_state")
    assert tuple(found) == (412, ["linux/amd64", "linux/arm64"])
    moved = replace(reported, digest=digest(2), size=None, platforms=())
    await recorder.known_tags(NAME)
    await recorder.discovered(run, NAME, discovery(moved), plan())
    assert tuple(row(engine, "SELECT size, platforms FROM tag_state")) == (None, None)


async def test_a_killed_run_is_closed_by_the_next(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    killed, tag, done = await begin(recorder), change(), change("0.2", 2)
    await recorder.tag_started(killed, NAME, tag)
    await recorder.tag_ended(killed, NAME, copied(done, blobs=(1,)), seen(done))
    async with recorder.target_lock(MIRROR.target):
        run = await begin(recorder)
        assert await recorder.close_abandoned(NAME, run) == (killed,)
        assert await recorder.close_abandoned(NAME, run) == ()
    found = row(engine, "SELECT status, reason, tags_copied, bytes_copied FROM sync_run"
                f" WHERE id = '{killed}'")  # fmt: skip
    assert tuple(found) == ("abandoned", "abandoned", 1, 100)
    with engine.connect() as connection:
        tags = connection.execute(sa.text("SELECT tag, status FROM tag_sync ORDER BY tag")).all()
    assert [tuple(tag) for tag in tags] == [("0.1.0", "abandoned"), ("0.2", "succeeded")]


async def test_a_run_that_lives_is_not_closed(recorder: PostgresRecorder, url: str) -> None:
    async with recorder.target_lock(MIRROR.target), PostgresRecorder.open(url) as other:
        run = await begin(recorder)
        assert await other.close_abandoned(NAME, None) == ()
    assert await recorder.close_abandoned(NAME, None) == (run,)


async def test_the_end_of_a_run_closes_its_unfinished_tags(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run = await begin(recorder)
    await recorder.tag_started(run, NAME, change())
    await recorder.end_run(RunOutcome(NAME, run, RunStatus.FAILED))
    assert row(engine, "SELECT status FROM tag_sync").status == "abandoned"
