"""Every value that a page names has a word in both languages."""

from __future__ import annotations

from enum import StrEnum

import pytest

from mirror.config import AlertRule
from mirror.outcome import DropReason, RunStatus, Trigger
from mirror.website.health import DayState, Health
from mirror.website.load import PRIVATE_RULES
from mirror.website.sources import LANGUAGES
from mirror.website.words import Words

OPERATORS = (*PRIVATE_RULES, AlertRule.ATTESTATIONS_DROPPED)  # the last one's severity is `info`


@pytest.mark.parametrize(
    ("prefix", "values"),
    [
        ("health", Health),
        ("day", DayState),
        ("run", RunStatus),
        ("trigger", Trigger),
        ("drop", DropReason),
        ("why", (Health.LAGGING, Health.FAILING)),
        ("kind", [rule for rule in AlertRule if rule not in OPERATORS]),
    ],
)
def test_each_value_has_a_word(prefix: str, values: list[StrEnum]) -> None:
    for language in LANGUAGES:
        words = Words(language)
        for value in values:
            assert words(f"{prefix}_{value}")
