"""Quotas, capabilities and audits; findings go to the next sync, which closes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
import sqlalchemy as sa

from mirror.history import (
    AuditOutcome,
    AuditWritten,
    FindingRow,
    PostgresRecorder,
    ProbePull,
)
from mirror.outcome import ChangeKind, Quota, Reason, TagFailure, Trigger
from mirror.registry import Refusal
from tests.history.values import MINUTE, NOON, change, copied, digest, row, seen
from tests.support.records import MIRROR

NAME = MIRROR.name
LOST = FindingRow("1.0", "missing_blob", "it is gone", digest(7), ChangeKind.MISSING)
REPOSITORY = ("registry.example.com", "hagicode/hagicode")


@pytest.fixture
async def synced(recorder: PostgresRecorder) -> PostgresRecorder:
    """A record in which a sync has copied 1.0 and 2.0 at noon."""
    run = await recorder.begin_run(NAME, Trigger.SCHEDULE, full=True)
    for number, tag in ((1, "1.0"), (2, "2.0")):
        moved = change(tag, number)
        await recorder.tag_ended(run, NAME, copied(moved), seen(moved))
    return recorder


async def audited(
    recorder: PostgresRecorder,
    findings: Sequence[FindingRow],
    failure: TagFailure | None = None,
    minutes: int = 10,
) -> AuditWritten:
    begun = NOON + minutes * MINUTE
    return await recorder.add_audit(
        AuditOutcome(
            NAME,
            begun,
            begun + MINUTE,
            deep=False,
            tags=2,
            findings=tuple(findings),
            failure=failure,
        )
    )


def rows(engine: sa.Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


async def test_a_finding_is_handed_over_and_its_blob_forgotten(
    synced: PostgresRecorder, engine: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO blob_presence (repository_id, digest, size)"
                " SELECT target_id, :digest, 9 FROM mirror"
            ),
            {"digest": LOST.digest},
        )
    written = await audited(synced, [LOST, FindingRow("2.0", "behind", "moved on", digest(3))])
    assert written.handed_over == ("1.0",)
    known = await synced.known_tags(NAME)
    assert known["1.0"].suspect is ChangeKind.MISSING
    assert known["2.0"].suspect is None
    assert LOST.digest not in (await synced.holdings(*REPOSITORY) or ())
    assert rows(engine, "SELECT tag, kind, repaired_at FROM audit_finding ORDER BY tag") == [
        ("1.0", "missing_blob", None),
        ("2.0", "behind", None),
    ]


async def test_a_sync_that_verifies_the_tag_closes_what_was_found(
    synced: PostgresRecorder, engine: sa.Engine
) -> None:
    await audited(synced, [LOST])
    run = await synced.begin_run(NAME, Trigger.WATCH, full=False)
    again = change("1.0", 1, kind=ChangeKind.MISSING)
    at = NOON + 20 * MINUTE
    await synced.tag_ended(run, NAME, copied(again), seen(again, at))
    assert (await synced.known_tags(NAME))["1.0"].suspect is None
    assert rows(engine, "SELECT repaired_at FROM audit_finding") == [(at,)]


async def test_a_tag_copied_again_while_the_audit_ran_is_not_handed_over(
    synced: PostgresRecorder,
) -> None:
    written = await audited(synced, [LOST], minutes=-10)
    assert written.handed_over == ()
    assert (await synced.known_tags(NAME))["1.0"].suspect is None


async def test_a_tag_with_several_faults_is_handed_over_once(
    synced: PostgresRecorder,
) -> None:
    drifted = FindingRow("1.0", "wrong_size", "too short", digest(8), ChangeKind.DRIFTED)
    written = await audited(synced, [LOST, drifted, LOST])
    assert written.handed_over == ("1.0",)
    assert (await synced.known_tags(NAME))["1.0"].suspect is ChangeKind.MISSING


@pytest.mark.parametrize(
    ("side", "minutes", "handed_over"),
    [("target", 10, True), ("target", -10, False), ("source", 10, False)],
)
async def test_what_a_probe_finds_missing_is_handed_over(
    recorder: PostgresRecorder, side: str, minutes: int, handed_over: bool
) -> None:
    run = await recorder.begin_run(NAME, Trigger.SCHEDULE, full=True)
    for number, tag in ((1, "1.0"), (2, "2.0")):
        moved = change(tag, number)
        await recorder.tag_ended(run, NAME, copied(moved, blobs=(number + 10,)), seen(moved))
    lost = ProbePull(
        *(NAME, NOON + minutes * MINUTE, "1.0", side, False),
        reason=Reason.NOT_FOUND,
        lost=digest(11),
    )
    await recorder.add_probes([lost])
    known = await recorder.known_tags(NAME)
    assert known["1.0"].suspect is (ChangeKind.MISSING if handed_over else None)
    assert known["2.0"].suspect is None
    held = await recorder.holdings(*REPOSITORY)
    assert held is not None and digest(12) in held
    assert (digest(11) in held) is (side == "source" or not handed_over)


async def test_an_audit_that_could_not_be_finished_says_why(
    synced: PostgresRecorder, engine: sa.Engine
) -> None:
    await audited(synced, [], TagFailure(None, Reason.NETWORK, "no connection"))
    assert rows(engine, "SELECT reason, message FROM audit_run") == [("network", "no connection")]


async def test_rotten_bytes_stay_open_until_an_audit_has_hashed_them_right(
    synced: PostgresRecorder, engine: sa.Engine
) -> None:
    rotten = FindingRow("1.0", "wrong_content", "other bytes", digest(9))
    assert (await audited(synced, [rotten])).handed_over == ()
    run = await synced.begin_run(NAME, Trigger.SCHEDULE, full=True)
    moved = change("1.0", 3, kind=ChangeKind.MOVED)
    await synced.tag_ended(run, NAME, copied(moved), seen(moved, NOON + 20 * MINUTE))
    assert rows(engine, "SELECT repaired_at FROM audit_finding") == [(None,)]
    begun = NOON + 30 * MINUTE
    await synced.add_audit(
        AuditOutcome(NAME, begun, begun + MINUTE, deep=True, tags=2, sound=(digest(9),))
    )
    assert rows(engine, "SELECT repaired_at FROM audit_finding") == [(begun + MINUTE,)]


async def test_abilities_and_quota_are_remembered(
    recorder: PostgresRecorder, engine: sa.Engine
) -> None:
    where, seen = ("r.example.com", "a/b"), {"mount": True, "chunk": 4_000_000}
    assert await recorder.abilities(*where, NOON) == {}
    await recorder.save_abilities(*where, seen, at=NOON)
    assert await recorder.abilities(*where, NOON) == seen
    await recorder.add_quota(Quota("docker.io", None, 100, 76, 21_600, NOON))
    assert tuple(row(engine, "SELECT registry, account, quota, remaining FROM quota_reading")) == (
        "docker.io",
        "",
        100,
        76,
    )


async def test_a_refusal_is_forgotten_after_a_month_and_learnt_again(
    recorder: PostgresRecorder,
) -> None:
    where = ("r.example.com", "a/b")
    day = timedelta(days=1)
    await recorder.save_abilities(*where, {"mount": True, "artifacts": False}, at=NOON)
    # Seen again without news: the month goes on from when it was learnt.
    await recorder.save_abilities(*where, {"artifacts": False}, at=NOON + 20 * day)
    assert await recorder.abilities(*where, NOON + 30 * day) == {"mount": True, "artifacts": False}
    assert await recorder.abilities(*where, NOON + 31 * day) == {"mount": True}
    await recorder.save_abilities(*where, {"mount": True}, at=NOON + 31 * day)
    assert await recorder.abilities(*where, NOON + 32 * day) == {"mount": True}


async def test_what_two_mirrors_learn_of_a_repository_is_put_together(
    recorder: PostgresRecorder,
) -> None:
    where = ("r.example.com", "a/b")
    await recorder.save_abilities(*where, {"mount": True}, at=NOON)
    await recorder.save_abilities(*where, {"referrers": False}, at=NOON)
    assert await recorder.abilities(*where, NOON) == {"mount": True, "referrers": False}


async def test_a_refusal_holds_for_its_own_time(recorder: PostgresRecorder) -> None:
    where, hour = ("r.example.com", "a/b"), timedelta(hours=1)
    passing = Refusal("r.example.com/a/b: HTTP 502", NOON, NOON + hour)
    lasting = Refusal("r.example.com/a/b: HTTP 405", NOON, NOON + timedelta(days=30))
    refusals = {"head_blob": passing.dump(), "mount": lasting.dump()}
    seen = {"head_blob": False, "mount": False, "ranges": True}
    await recorder.save_abilities(*where, seen, refusals, at=NOON)
    assert await recorder.refusals(*where, NOON) == {"head_blob": passing, "mount": lasting}
    assert await recorder.abilities(*where, NOON) == seen
    later = NOON + hour
    assert await recorder.refusals(*where, later) == {"mount": lasting}
    assert await recorder.abilities(*where, later) == {"mount": False, "ranges": True}
    await recorder.save_abilities(*where, {"mount": True}, at=later)
    assert await recorder.refusals(*where, later) == {}, "it works again"
