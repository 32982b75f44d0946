"""The tag strategy: which tags are mirrored, and which of them float."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mirror.sync.tags.tag_rules import TagRules, exact_of, natural_key, specificity, subject_of

RELEASE = ("0.1.0-beta.78", "0.1.0", "0.1", "0", "latest")
HEX = "a" * 64


def test_of_a_release_and_its_floating_tags_the_most_specific_is_exact() -> None:
    assert exact_of(RELEASE) == {"0.1.0-beta.78"}
    assert exact_of(("1.2.3", "1.2", "latest")) == {"1.2.3"}
    assert exact_of(("16", "latest")) == {"16"}


def test_names_of_one_kind_do_not_wait_for_each_other() -> None:
    assert exact_of(("latest", "stable")) == frozenset()
    assert exact_of(("1.2.3",)) == frozenset()


def test_a_signature_is_neither_exact_nor_floating() -> None:
    assert exact_of(("1.2.3", "latest", f"sha256-{HEX}.sig")) == {"1.2.3"}
    assert subject_of(f"sha256-{HEX}.sig") == f"sha256:{HEX}"
    assert subject_of(f"sha256-{HEX}") == f"sha256:{HEX}"
    assert subject_of("sha256-not-hex.sig") is None


@pytest.mark.parametrize(
    ("tag", "rank"),
    [("1.2.3-rc.1", 4), ("v1.2.3", 3), ("1.2", 2), ("16", 1), ("latest", 0), ("16-alpine", 4)],
)
def test_specificity(tag: str, rank: int) -> None:
    assert specificity(tag) == rank


def test_include_exclude_and_semver_all_have_to_pass() -> None:
    rules = TagRules(include=("1.*", r"re:v\d+"), exclude=("*-rc*",))
    assert [t for t in ("1.0", "1.0-rc1", "v2", "v2x", "2.0") if rules.admits(t)] == ["1.0", "v2"]
    ranged = TagRules(semver=">=1.2.0 <2")
    assert [t for t in ("1.1.0", "1.2.0", "v1.9.9", "2.0.0", "latest") if ranged.admits(t)] == [
        "1.2.0",
        "v1.9.9",
    ]


def test_newest_goes_by_push_time_then_by_version() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    rules = TagRules(newest=2)
    pushed = [("a", day), ("b", day + timedelta(days=2)), ("c", day + timedelta(days=1))]
    assert rules.newest_of(pushed) == {"b", "c"}
    assert rules.newest_of([("1.0.9", None), ("1.0.10", None), ("1.0.2", None)]) == {
        "1.0.9",
        "1.0.10",
    }
    assert natural_key("0.1.0-beta.9") < natural_key("0.1.0-beta.10")


def test_a_backup_name_is_a_tag_that_tells_what_and_when() -> None:
    now = datetime(2026, 5, 6, tzinfo=UTC)
    rules = TagRules(backup="{tag}-before-{date}-{digest}")
    assert rules.backup_name("latest", f"sha256:{HEX}", now) == f"latest-before-20260506-{'a' * 12}"
    assert TagRules().backup_name("latest", f"sha256:{HEX}", now) is None
