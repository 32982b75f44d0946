"""What the recorder is told stands in the database afterwards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from mirror.history import (
    LockLost,
    PostgresRecorder,
    RetryRule,
    TargetLocked,
    UnknownMirror,
    reports,
)
from mirror.outcome import (
    ChangeKind,
    Dropped,
    DropReason,
    Plan,
    Quota,
    Reason,
    Requests,
    RunOutcome,
    RunStatus,
    Seconds,
    SourceTag,
    TagFailure,
    TagStatus,
    TagTally,
    Trigger,
)
from tests.history.values import (
    MINUTE,
    NOON,
    change,
    copied,
    digest,
    discovery,
    failed,
    plan,
    seen,
)
from tests.support.records import MIRROR

NAME = MIRROR.name


def row(engine: sa.Engine, query: str) -> sa.Row[tuple[object, ...]]:
    with engine.connect() as connection:
        return connection.execute(sa.text(query)).one()


async def begin(recorder: PostgresRecorder) -> str:
    return await recorder.begin_run(NAME, Trigger.SCHEDULE, full=True, dry_run=False)


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


async def test_a_tag_whose_digest_could_not_be_had_is_a_failed_tag_record(
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


async def test_a_tag_is_available_when_it_was_verified(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run, tag = await begin(recorder), change(pushed_at=NOON - 9 * MINUTE)
    await recorder.discovered(run, NAME, discovery(SourceTag(tag.tag, tag.digest)), plan(tag))
    await recorder.tag_started(run, NAME, tag)
    assert row(engine, "SELECT status FROM tag_sync").status == "running"
    await recorder.tag_ended(run, NAME, copied(tag, blobs=(7, 8)), seen(tag, NOON))
    found = row(engine, "SELECT status, available_at, bytes_copied, blobs_copied FROM tag_sync")
    assert tuple(found) == ("succeeded", NOON, 200, 2)
    known = (await recorder.known_tags(NAME))[tag.tag]
    assert (known.copied_digest, known.target_digest, known.attempts) == (tag.digest, tag.digest, 0)
    assert await recorder.holdings("registry.example.com", "hagicode/hagicode") == {
        digest(7),
        digest(8),
    }


async def test_a_copy_that_was_not_verified_failed(recorder: PostgresRecorder) -> None:
    run, tag = await begin(recorder), change()
    await recorder.tag_ended(run, NAME, copied(tag), None)
    known = (await recorder.known_tags(NAME))[tag.tag]
    assert (known.copied_digest, known.attempts) == (None, 1)


async def test_a_failed_tag_waits_five_minutes_three_times_and_then_an_hour(
    recorder: PostgresRecorder,
) -> None:
    rule, waits = RetryRule(), []
    for number in range(1, 6):
        run, tag = await begin(recorder), change(attempt=number)
        await recorder.tag_ended(run, NAME, failed(tag), None, rule)
        known = (await recorder.known_tags(NAME))[tag.tag]
        assert known.attempts == number
        assert known.next_attempt_at is not None
        waits.append(known.next_attempt_at - NOON)
    assert waits == [5 * MINUTE] * 3 + [timedelta(hours=1)] * 2


async def test_a_tag_that_moves_is_tried_afresh(recorder: PostgresRecorder) -> None:
    run, tag = await begin(recorder), change()
    await recorder.tag_ended(run, NAME, failed(tag), None)
    moved = change(number=2, kind=ChangeKind.MOVED, detected_at=NOON + MINUTE)
    await recorder.known_tags(NAME)
    await recorder.discovered(run, NAME, discovery(SourceTag(tag.tag, digest(2))), plan(moved))
    known = (await recorder.known_tags(NAME))[tag.tag]
    assert (known.attempts, known.next_attempt_at) == (0, None)
    assert (known.source_digest, known.detected_at) == (digest(2), NOON + MINUTE)


async def test_blobs_of_a_tag_that_failed_are_known_too(recorder: PostgresRecorder) -> None:
    run, tag = await begin(recorder), change()
    outcome = failed(tag)
    await recorder.tag_ended(run, NAME, outcome, None)
    placed = copied(tag, blobs=(5,)).placed
    await recorder.tag_ended(run, NAME, replace(outcome, placed=placed), None)
    assert await recorder.holdings("registry.example.com", "hagicode/hagicode") == {digest(5)}
    assert await recorder.holders("registry.example.com", [digest(5), digest(6)]) == {
        digest(5): "hagicode/hagicode"
    }
    await recorder.tag_ended(run, NAME, replace(outcome, lost=(digest(5),)), None)
    assert await recorder.holdings("registry.example.com", "hagicode/hagicode") == set()


async def test_an_unchanged_look_writes_nothing(
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


async def test_held_tags_stay_and_deleted_ones_leave(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run, tag = await begin(recorder), change()
    await recorder.tag_ended(run, NAME, copied(tag), seen(tag))
    second = await begin(recorder)
    await recorder.tag_skipped(second, NAME, change(number=2), TagStatus.HELD, "immutable")
    assert row(engine, "SELECT held FROM tag_state").held is True
    third = await begin(recorder)
    await recorder.tag_skipped(third, NAME, tag, TagStatus.DELETED, "gone for 14 days")
    assert await recorder.known_tags(NAME) == {}


async def test_one_run_for_a_target_at_a_time(recorder: PostgresRecorder, url: str) -> None:
    async with PostgresRecorder.open(url) as other:
        async with recorder.target_lock(MIRROR.target) as lock:
            run = await begin(recorder)
            await lock.check()
            with pytest.raises(TargetLocked, match=run) as refused:
                async with other.target_lock(MIRROR.target):
                    pass
            assert refused.value.started_at is not None
        async with other.target_lock(MIRROR.target):
            pass


async def test_a_lock_whose_connection_was_killed_is_noticed(
    recorder: PostgresRecorder, engine: sa.Engine, url: str
) -> None:
    async with recorder.target_lock(MIRROR.target) as lock:
        pid = lock.connection.info.backend_pid
        row(engine, f"SELECT pg_terminate_backend({pid}, 5000)")
        with pytest.raises(LockLost, match="hagicode/hagicode"):
            await lock.check()
        async with PostgresRecorder.open(url) as other, other.target_lock(MIRROR.target):
            pass


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


async def test_another_target_forgets_the_tags_and_keeps_the_past(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run, tag = await begin(recorder), change()
    await recorder.tag_ended(run, NAME, copied(tag), seen(tag))
    await recorder.ensure_mirror(MIRROR)
    assert len(await recorder.known_tags(NAME)) == 1
    await recorder.ensure_mirror(replace(MIRROR, target="registry.example.com/elsewhere/hagicode"))
    assert await recorder.known_tags(NAME) == {}
    assert row(engine, "SELECT count(*) AS rows FROM tag_sync").rows == 1


async def test_a_connection_that_died_while_it_rested_is_replaced(
    recorder: PostgresRecorder, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.history.connections._RESTED", 0)
    assert await recorder.known_tags(NAME) == {}
    ended = row(
        engine,
        "SELECT count(pg_terminate_backend(pid)) AS backends FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    assert ended.backends == 1
    assert await recorder.known_tags(NAME) == {}


async def test_a_mirror_as_it_is_recorded_is_not_written_again(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    written = "SELECT xmin::text AS by FROM mirror"
    before = row(engine, written).by
    await recorder.ensure_mirror(MIRROR)
    assert row(engine, written).by == before
    await recorder.ensure_mirror(replace(MIRROR, delay_goal=timedelta(hours=1)))
    assert row(engine, written).by != before
    assert row(engine, "SELECT delay_goal FROM mirror").delay_goal == timedelta(hours=1)


async def test_abilities_and_quota_are_remembered(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    assert await recorder.abilities("r.example.com", "a/b") == {}
    await recorder.save_abilities("r.example.com", "a/b", {"mount": True, "chunk": 4_000_000})
    assert await recorder.abilities("r.example.com", "a/b") == {"mount": True, "chunk": 4_000_000}
    await recorder.add_quota(Quota("docker.io", None, 100, 76, 21_600, NOON))
    assert tuple(row(engine, "SELECT registry, account, quota, remaining FROM quota_reading")) == (
        "docker.io",
        "",
        100,
        76,
    )


async def test_a_refusal_is_forgotten_after_a_month_and_learnt_anew(
    recorder: PostgresRecorder,
) -> None:
    where = ("r.example.com", "a/b")
    day = timedelta(days=1)
    await recorder.save_abilities(*where, {"mount": True, "artifacts": False}, NOON)
    # Seen again without news: the month goes on from when it was learnt.
    await recorder.save_abilities(*where, {"artifacts": False}, NOON + 20 * day)
    assert await recorder.abilities(*where, NOON + 30 * day) == {"mount": True, "artifacts": False}
    assert await recorder.abilities(*where, NOON + 31 * day) == {"mount": True}
    await recorder.save_abilities(*where, {"mount": True}, NOON + 31 * day)
    assert await recorder.abilities(*where, NOON + 32 * day) == {"mount": True}


async def test_what_two_mirrors_learn_of_a_repository_is_put_together(
    recorder: PostgresRecorder,
) -> None:
    where = ("r.example.com", "a/b")
    await recorder.save_abilities(*where, {"mount": True}, NOON)
    await recorder.save_abilities(*where, {"referrers": False}, NOON)
    assert await recorder.abilities(*where, NOON) == {"mount": True, "referrers": False}


async def test_an_unknown_mirror_is_named(recorder: PostgresRecorder) -> None:
    with pytest.raises(UnknownMirror, match="nobody"):
        await recorder.begin_run("nobody", Trigger.MANUAL, full=True)


async def test_a_tag_keeps_the_size_and_the_platforms_that_the_source_told(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    told = SourceTag("1.0", digest(1), NOON, size=412, platforms=("linux/amd64", "linux/arm64"))
    run = await begin(recorder)
    await recorder.discovered(run, NAME, discovery(told), plan())
    found = row(engine, "SELECT size, platforms FROM tag_state")
    assert tuple(found) == (412, ["linux/amd64", "linux/arm64"])
    moved = replace(told, digest=digest(2), size=None, platforms=())
    await recorder.known_tags(NAME)
    await recorder.discovered(run, NAME, discovery(moved), plan())
    assert tuple(row(engine, "SELECT size, platforms FROM tag_state")) == (None, None)


async def test_what_is_left_out_stands_with_the_tag_until_it_arrives_whole(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run, tag = await begin(recorder), change()
    arm = Dropped(digest(9), "application/vnd.oci.image.manifest.v1+json", DropReason.PLATFORM)
    await recorder.tag_ended(run, NAME, replace(copied(tag), dropped=(arm,)), seen(tag))
    (status,) = reports.read_status(engine)
    assert [(part.reason, part.tags) for part in status.left_out] == [("platform", 1)]
    assert await recorder.dropped_digests(NAME) == {digest(9)}
    second = await begin(recorder)
    await recorder.tag_ended(second, NAME, copied(tag), seen(tag))
    (status,) = reports.read_status(engine)
    assert status.left_out == ()
