"""The difference between source, target and record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mirror.outcome import ChangeKind, Discovery, KnownTag, Plan, SourceTag
from mirror.sync.tags.diff import diff
from mirror.sync.tags.tag_rules import TagRules

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def known(name: str, digest: str, **changes: object) -> KnownTag:
    values: dict[str, object] = {
        "source_digest": digest,
        "copied_digest": digest,
        "target_digest": digest,
        "detected_at": NOW - timedelta(days=1),
    }
    return KnownTag(name=name, **{**values, **changes})  # type: ignore[arg-type]  # by design mixed


def seen(
    *tags: tuple[str, str], target: dict[str, str | None] | None = None, complete: bool = True
) -> Discovery:
    return Discovery(
        tags=tuple(SourceTag(name, digest, NOW) for name, digest in tags),
        complete=complete,
        via="tags_list",
        target=target,
        listed=frozenset(name for name, _ in tags),
    )


def plan(
    discovery: Discovery, *tags: KnownTag, rules: TagRules | None = None, retry_now: bool = False
) -> Plan:
    record = {tag.name: tag for tag in tags}
    return diff(discovery, record, rules or TagRules(), NOW, retry_now=retry_now)


def kinds(result: Plan) -> dict[str, ChangeKind]:
    return {change.tag: change.kind for change in result.changes}


def test_new_moved_and_unchanged_tags_are_told_apart_by_the_record() -> None:
    result = plan(seen(("1", A), ("2", B), ("3", C)), known("2", A), known("3", C))
    assert kinds(result) == {"1": ChangeKind.NEW, "2": ChangeKind.MOVED}
    assert result.unchanged == 1


def test_a_full_look_finds_what_is_missing_or_drifted_at_the_target() -> None:
    target = {"1": None, "2": C, "3": C}
    result = plan(
        seen(("1", A), ("2", B), ("3", C), target=target),
        known("1", A),
        known("2", B),
        known("3", C),
    )
    assert kinds(result) == {"1": ChangeKind.MISSING, "2": ChangeKind.DRIFTED}
    # A repair is late since it was found out, not since the tag was pushed long ago.
    assert all(change.pushed_at is None for change in result.changes)


def test_a_filtered_tag_is_in_sync_while_the_target_is_as_it_was_left() -> None:
    result = plan(seen(("1", A), target={"1": B}), known("1", A, target_digest=B))
    assert result.unchanged == 1
    assert not result.changes


def test_what_the_target_holds_already_is_adopted_without_a_copy() -> None:
    result = plan(seen(("1", A), target={"1": A}))
    assert [change.tag for change in result.adopted] == ["1"]
    assert not result.changes


def test_floating_tags_come_last_and_wait_for_their_exact_release() -> None:
    result = plan(seen(("latest", A), ("0.1", A), ("0.1.0-beta.78", A), ("other", B)))
    assert result.changes[-1].tag in ("latest", "0.1")
    waits = {change.tag: change.waits_for for change in result.changes}
    assert waits["latest"] == waits["0.1"] == ("0.1.0-beta.78",)
    assert waits["0.1.0-beta.78"] == waits["other"] == ()


def test_a_failed_tag_waits_for_its_time_and_its_floating_tags_with_it() -> None:
    failed = known(
        "1.0.0", A, copied_digest=None, attempts=1, next_attempt_at=NOW + timedelta(minutes=5)
    )
    result = plan(seen(("1.0.0", A), ("latest", A)), failed)
    assert result.deferred == ("1.0.0", "latest")
    assert result.failing == ("1.0.0",)
    assert not result.changes


def test_by_hand_a_failed_tag_is_tried_at_once() -> None:
    failed = known(
        "1.0.0", A, copied_digest=None, attempts=2, next_attempt_at=NOW + timedelta(minutes=5)
    )
    result = plan(seen(("1.0.0", A)), failed, retry_now=True)
    assert [(change.tag, change.attempt) for change in result.changes] == [("1.0.0", 3)]


def test_a_tag_that_moves_again_starts_with_fresh_attempts() -> None:
    failed = known("1", A, copied_digest=None, attempts=3, next_attempt_at=NOW + timedelta(hours=1))
    result = plan(seen(("1", B)), failed)
    assert [change.attempt for change in result.changes] == [1]


def test_what_an_incomplete_look_did_not_reach_is_still_owed() -> None:
    owed = known("old", A, copied_digest=None)
    result = plan(seen(("new", B), complete=False), owed, known("fine", C))
    assert set(kinds(result)) == {"new", "old"}
    assert not result.gone


def test_an_immutable_tag_that_moved_is_held() -> None:
    rules = TagRules(immutable=("1.*",))
    result = plan(seen(("1.0", B), ("2.0", B)), known("1.0", A), known("2.0", A), rules=rules)
    assert [change.tag for change in result.held] == ["1.0"]
    assert set(kinds(result)) == {"2.0"}


def test_an_immutable_tag_that_drifted_at_the_target_is_repaired() -> None:
    result = plan(
        seen(("1.0", A), target={"1.0": B}), known("1.0", A), rules=TagRules(immutable=("*",))
    )
    assert kinds(result) == {"1.0": ChangeKind.DRIFTED}


def test_gone_tags_are_deleted_only_by_policy_and_after_their_time() -> None:
    gone = [known(f"t{number}", A, gone_at=NOW - timedelta(days=number)) for number in range(1, 21)]
    assert not plan(seen(), *gone).deletions
    rules = TagRules(delete_after=timedelta(days=14))
    result = plan(seen(), *gone, rules=rules)
    assert len(result.gone) == 20
    assert [change.tag for change in result.deletions] == [f"t{n}" for n in range(20, 13, -1)]
    suspicious = plan(replace(seen(), suspicion="too much is lost"), *gone, rules=rules)
    assert not suspicious.gone
    assert not suspicious.deletions


def test_an_excluded_tag_is_not_gone() -> None:
    discovery = Discovery(
        tags=(), complete=True, via="tags_list", listed=frozenset({"still-there"})
    )
    assert not plan(discovery, known("still-there", A)).gone


def test_what_an_audit_found_is_repaired_by_the_next_incremental_sync_too() -> None:
    result = plan(
        seen(("1", A), ("2", B), complete=False),
        known("1", A, suspect=ChangeKind.MISSING),
        known("2", B),
        known("3", C, suspect=ChangeKind.DRIFTED),
    )
    assert kinds(result) == {"1": ChangeKind.MISSING, "3": ChangeKind.DRIFTED}
    assert all(change.pushed_at is None for change in result.changes)


def test_a_suspect_tag_is_copied_again_though_its_digest_at_the_target_is_right() -> None:
    tag = known("1", A, suspect=ChangeKind.MISSING)
    result = plan(seen(("1", A), target={"1": A}), tag)
    assert kinds(result) == {"1": ChangeKind.MISSING}
    assert result.adopted == ()
