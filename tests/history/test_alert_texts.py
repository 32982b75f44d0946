"""What alerts say is there for every rule and reason, in both languages with the same facts."""

from __future__ import annotations

from datetime import UTC, datetime
from string import Formatter

import pytest

from mirror.config import AlertRule
from mirror.history import REASONS, SAYINGS, AlertDetails, Bilingual, filled
from mirror.outcome import Reason


def facts(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_every_rule_and_every_reason_has_words() -> None:
    assert set(SAYINGS) == set(AlertRule)
    assert set(REASONS) == set(Reason)


@pytest.mark.parametrize("rule", AlertRule)
def test_both_languages_give_the_same_facts(rule: AlertRule) -> None:
    for words in (SAYINGS[rule].holds, SAYINGS[rule].over, SAYINGS[rule].advice):
        assert facts(words.zh) == facts(words.en)
        assert words.zh.strip() and words.en.strip()


def test_a_sentence_is_filled_with_its_facts() -> None:
    words = Bilingual("{count} 个：{share} {name}", "{count}: {share} {name} {missing} {none}")
    shown = filled(words, {"share": 12.50, "name": "1.0", "none": None}, 3)
    assert shown == Bilingual("3 个：12.5 1.0", "3: 12.5 1.0 ? ?")


def test_a_fact_is_never_taken_for_a_place_to_fill() -> None:
    assert filled(Bilingual("{name}", "{name}"), {"name": "{count}"}, 3).en == "{count}"


def test_the_details_of_an_alert_survive_the_database() -> None:
    details = AlertDetails(
        since=datetime(2026, 11, 24, 12, tzinfo=UTC),
        mirrors=("m",),
        tags=("1.0",),
        reason=Reason.AUTH,
        facts={"count": 3, "share": 0.5, "nothing": None},
    )
    assert AlertDetails.model_validate(details.model_dump(mode="json")) == details
