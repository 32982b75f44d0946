"""The recorder's input: delays, repositories, ids, and mirrors of mirrors.yaml."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from mirror.config import MirrorSettings
from mirror.history import PullCounted, mirror_row
from mirror.history.recording.rows import delay, new_id, split_repository
from mirror.outcome import ChangeKind
from tests.history.values import MINUTE, NOON, change

DAY = timedelta(days=1)


def test_a_delay_counts_from_the_push() -> None:
    tag = change(pushed_at=NOON - 9 * MINUTE, detected_at=NOON - MINUTE)
    assert delay(tag, NOON, NOON - DAY) == (540.0, "pushed")


def test_a_delay_counts_from_detection_where_the_push_is_unknown() -> None:
    assert delay(change(detected_at=NOON - MINUTE), NOON, NOON - DAY) == (60.0, "detected")


def test_a_delay_never_counts_from_before_the_mirror_followed_the_tag() -> None:
    tag = change(pushed_at=NOON - 400 * DAY)
    assert delay(tag, NOON, NOON - 2 * MINUTE) == (120.0, "followed")


def test_a_push_in_the_future_of_our_clock_has_no_negative_delay() -> None:
    assert delay(change(pushed_at=NOON + MINUTE), NOON, NOON - DAY) == (0.0, "pushed")


@pytest.mark.parametrize("kind", [ChangeKind.MISSING, ChangeKind.DRIFTED])
def test_a_repair_has_no_delay(kind: ChangeKind) -> None:
    assert delay(change(kind=kind, pushed_at=NOON - DAY), NOON, NOON - 2 * DAY) == (None, None)


def test_a_repository_splits_into_registry_and_path() -> None:
    assert split_repository("localhost:5000/a/b") == ("localhost:5000", "a/b")


@pytest.mark.parametrize("name", ["", "redis", "/redis", "docker.io/"])
def test_half_a_repository_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a repository"):
        split_repository(name)


def test_ids_are_version_7_and_sort_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_800_000_000_000, 1_800_000_000_100))
    monkeypatch.setattr("time.time_ns", lambda: next(clock) * 1_000_000)
    ids = [new_id() for _ in range(100)]
    assert ids == sorted(ids)
    assert {(it.version, it.variant) for it in ids} == {(7, "specified in RFC 4122")}
    assert ids[0].int >> 80 == 1_800_000_000_000


def test_a_pull_count_belongs_to_the_day_of_its_reading() -> None:
    assert PullCounted("docker.io/a/b", 3, NOON).day == date(2026, 11, 24)


def test_the_policy_of_a_mirror_changes_with_what_it_selects_and_with_nothing_else() -> None:
    def policy(**changed: object) -> str:
        plain = {"name": "m", "source": "docker.io/a/b", "target": "r.example.com/a/b"}
        return mirror_row(MirrorSettings.model_validate(plain | changed)).policy

    assert policy(every="1h") == policy()
    assert policy(tags={"include": ["1.*"]}) != policy()
    assert policy(platforms=["linux/amd64"]) != policy()
    assert policy(referrers=False) != policy()
