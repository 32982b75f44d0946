"""Text of messages: within bytes, one line where one is due, no markup from outside."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given, strategies as st

from mirror.alerts.channels.message import Event, Message
from mirror.alerts.channels.render import TITLE_LENGTH, cut, markdown, plain, text, title

MakeMessage = Callable[..., Message]


@given(st.text(), st.integers(min_value=3, max_value=100))
def test_a_cut_keeps_within_the_bytes_and_whole_characters(value: str, limit: int) -> None:
    value = value.encode(errors="ignore").decode()
    result = cut(value, limit)
    assert len(result.encode()) <= limit
    assert result == value or value.startswith(result.removesuffix("…"))
    if result != value:
        assert len(result.encode()) > limit - 6


@given(st.text())
def test_a_recorded_value_is_one_line_without_markup(value: str) -> None:
    result = plain(value)
    assert result.isprintable()
    assert not set(result) & set("<>[]`*\n\r")


def test_a_registry_cannot_make_a_robot_call_everybody(message: MakeMessage) -> None:
    said = '<at user_id="all">x</at> [free coins](http://evil.example)\n# Header'
    for form in (text, markdown):
        whole = form(message(errors=(said,)), 4096)
        assert "<at" not in whole
        assert "[free coins](" not in whole
        assert "\n# Header" not in whole


def test_a_recovery_says_from_when_to_when_and_asks_for_nothing(message: MakeMessage) -> None:
    whole = text(message(Event.RECOVERED), 4096)
    assert "恢复时间：2026-03-01 12:00（北京时间）" in whole
    assert "Until: 2026-03-01 04:00 UTC" in whole
    assert "What to do" not in whole


def test_many_tags_are_counted_instead_of_listed(message: MakeMessage) -> None:
    whole = text(message(tags=tuple(f"1.0.{n}" for n in range(50))), 8000)
    assert "1.0.19 等 50 个" in whole
    assert "1.0.19 and 30 more" in whole
    assert "1.0.20" not in whole


def test_a_title_is_one_line_of_bounded_length(message: MakeMessage) -> None:
    line = title(message())
    assert "\n" not in line
    assert len(line) <= TITLE_LENGTH


def test_bold_names_are_followed_by_a_space_or_markdown_shows_their_asterisks(
    message: MakeMessage,
) -> None:
    names = [line for line in markdown(message(), 4096).splitlines() if line.startswith("**")]
    assert len(names) == 13
    assert all(re.match(r"\*\*[^*]+[：:]\*\* \S", line) for line in names)
