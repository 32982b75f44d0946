"""Tags are written as they end: their record, their state and the blobs at the target."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from mirror.history import (
    PostgresRecorder,
    reports,
)
from mirror.outcome import (
    ChangeKind,
    Dropped,
    DropReason,
    Reason,
    RetryRule,
    SourceTag,
    TagStatus,
)
from tests.history.values import (
    MINUTE,
    NOON,
    begin,
    change,
    copied,
    digest,
    discovery,
    failed,
    plan,
    row,
    seen,
)
from tests.support.records import MIRROR

NAME = MIRROR.name


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
    assert await recorder.holdings("registry.example.com", "hagicode/hagicode", 1) == {digest(5)}
    assert await recorder.holdings("registry.example.com", "hagicode/hagicode", 0) is None, "more"
    await recorder.tag_ended(run, NAME, replace(outcome, lost=(digest(5),)), None)
    assert await recorder.holdings("registry.example.com", "hagicode/hagicode") == set()


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


async def test_a_tag_that_waits_is_left_alone_for_a_while_and_has_not_failed(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run, tag = await begin(recorder), change()
    await recorder.discovered(run, NAME, discovery(SourceTag(tag.tag, tag.digest)), plan(tag))
    why, later = "waits for a signature", NOON + MINUTE
    await recorder.tag_skipped(run, NAME, tag, TagStatus.WAITING, why, retry_at=later)
    known = (await recorder.known_tags(NAME))[tag.tag]
    assert (known.attempts, known.next_attempt_at, known.copied_digest) == (0, later, None)
    record = row(engine, "SELECT status, message, reason FROM tag_sync")
    assert tuple(record) == ("waiting", why, None)
    await recorder.tag_ended(run, NAME, failed(tag, Reason.UNSIGNED), None)
    assert row(engine, "SELECT reason FROM tag_sync").reason == "unsigned"
    assert (await recorder.known_tags(NAME))[tag.tag].attempts == 1


async def test_what_is_left_out_is_kept_with_the_tag_until_it_arrives_whole(
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
