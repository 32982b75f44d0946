"""Values that no registry should send end no run, and are recorded as far as they can be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from mirror.history import PostgresRecorder
from mirror.history.recording import storable
from mirror.outcome import (
    Dropped,
    DropReason,
    Quota,
    Reason,
    RunOutcome,
    RunStatus,
    SourceTag,
    TagFailure,
)
from tests.history.values import NOON, begin, change, copied, digest, discovery, plan, row, seen
from tests.support.records import MIRROR

NAME = MIRROR.name


@pytest.mark.parametrize("size", [int(1e30), -1, 2**63])
async def test_a_size_that_no_image_has_is_unknown(
    recorder: PostgresRecorder, engine: sa.Engine, size: int
) -> None:
    run = await begin(recorder)
    await recorder.discovered(
        run, NAME, discovery(SourceTag("1.0", digest(1), size=size)), plan(change("1.0"))
    )
    assert tuple(row(engine, "SELECT tag, size FROM tag_state")) == ("1.0", None)


@pytest.mark.parametrize(
    "pushed_at",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8))),
        datetime(9999, 12, 31, 23, 59, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=8))),
    ],
)
async def test_a_push_time_that_cannot_be_true_is_unknown(
    recorder: PostgresRecorder, engine: sa.Engine, pushed_at: datetime
) -> None:
    run, tag = await begin(recorder), change(pushed_at=pushed_at)
    found = discovery(SourceTag(tag.tag, tag.digest, pushed_at))
    await recorder.discovered(run, NAME, found, plan(tag))
    await recorder.tag_started(run, NAME, tag)
    await recorder.tag_ended(run, NAME, copied(tag), seen(tag))
    written = row(engine, "SELECT status, pushed_at, delay_from FROM tag_sync")
    assert tuple(written) == ("succeeded", None, "followed")
    assert row(engine, "SELECT pushed_at FROM tag_state").pushed_at is None


async def test_text_that_no_database_stores_is_cut_and_cleaned(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    run, tag = await begin(recorder), change()
    hostile = SourceTag(tag.tag, tag.digest, platforms=("linux/\0amd64", "x" * 4_000_000, "\ud800"))
    await recorder.discovered(run, NAME, discovery(hostile), plan(tag))
    outcome = copied(tag)
    dropped = Dropped(digest(3), "a\0b", DropReason.PLATFORM, "y" * 4_000_000)
    await recorder.tag_ended(run, NAME, replace(outcome, dropped=(dropped,)), seen(tag))
    state = row(engine, "SELECT platforms, dropped FROM tag_state")
    assert [len(platform) for platform in state.platforms] == [12, 512, 1]
    assert len(state.dropped[0]["platform"]) == 512
    assert state.dropped[0]["media_type"] == "a\N{REPLACEMENT CHARACTER}b"
    failure = TagFailure(None, Reason.NETWORK, "z\0" * 4_000_000)
    await recorder.end_run(RunOutcome(NAME, run, RunStatus.FAILED, errors=(failure,)))
    message = row(engine, "SELECT message FROM sync_run").message
    assert "\0" not in message
    assert len(message) <= storable.LONGEST_TEXT


async def test_a_quota_of_twelve_digits_is_bounded(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    await recorder.add_quota(Quota("docker.io", None, 10**12, 10**12, 10**12, NOON))
    found = row(engine, "SELECT quota, remaining, window_seconds FROM quota_reading")
    assert set(found) == {2**31 - 1}


async def test_what_the_database_refuses_concerns_that_tag_alone(
    recorder: PostgresRecorder, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing that is known gets through: as if one more kind of value were not thought of.
    monkeypatch.setattr("mirror.history.recording.storable.size", lambda value: value)
    monkeypatch.setattr("mirror.history.recording.tag_recorder._dropped", lambda parts: "no json")
    run, good, bad = await begin(recorder), change("1.0", 1), change("2.0", 2)
    tags = discovery(
        SourceTag("1.0", good.digest, size=1), SourceTag("2.0", bad.digest, size=int(1e30))
    )
    monkeypatch.setattr("mirror.history.recording.storable._storable", lambda value: value)
    await recorder.discovered(run, NAME, tags, plan(good, bad))
    assert tuple(row(engine, "SELECT tag FROM tag_state")) == ("1.0",)
    await recorder.tag_ended(run, NAME, copied(bad), seen(bad))
    found = row(engine, "SELECT tag, status, reason, message FROM tag_sync")
    assert tuple(found)[:3] == ("2.0", "failed", "internal")
    assert "the history refuses a value of this tag: invalid input syntax" in found.message
