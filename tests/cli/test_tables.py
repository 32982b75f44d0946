"""The shared table: whole in a pipe; fitted to a terminal without breaking a word."""

from __future__ import annotations

from io import BytesIO, StringIO, TextIOWrapper

import pytest
from rich.console import Console
from rich.text import Text

from flows.cli.tables import STATUS_COLOURS, Table, make_table, print_text
from mirror.outcome import RunStatus

MESSAGE = "the registry refused the upload because its storage is full; free space there"


def shown(table: Table, width: int | None = None, *, color: bool = False) -> list[str]:
    """The lines of a terminal of that width, or of a pipe."""
    out = StringIO()
    table.print(
        Console(
            file=out,
            width=width or 20,
            force_terminal=width is not None,
            color_system="standard" if color else None,
        )
    )
    return out.getvalue().splitlines()


def sample() -> Table:
    table = make_table("mirror", ">requests?3", ">bytes?2", ">seen?1", "~message")
    table.add_row("hagicode-aliyun", "1+22", "12 MB", "3", MESSAGE)
    table.add_row("应用", "1", "", "13", "short")
    return table


def test_numbers_are_right_aligned_and_marks_are_not_shown() -> None:
    table = make_table("tag", ">count")
    table.add_row("latest", "1")
    assert shown(table, 40) == ["tag     count", "latest      1"]


def test_a_pipe_gets_every_column_whole_whatever_its_width() -> None:
    assert shown(sample()) == [
        "mirror           requests  bytes  seen  message",
        f"hagicode-aliyun      1+22  12 MB     3  {MESSAGE}",
        "应用                    1      -    13  short",
    ]


def test_a_message_is_wrapped_between_words_before_a_column_is_dropped() -> None:
    assert shown(sample(), 80) == [
        "mirror           requests  bytes  seen  message",
        "hagicode-aliyun      1+22  12 MB     3  the registry refused the upload because",
        "                                        its storage is full; free space there",
        "应用                    1      -    13  short",
    ]


def test_the_least_important_column_is_dropped_first_and_named() -> None:
    assert shown(sample(), 60) == [
        "mirror           bytes  seen  message",
        "hagicode-aliyun  12 MB     3  the registry refused the",
        "                              upload because its storage is",
        "                              full; free space there",
        "应用                 -    13  short",
        "no room for: requests",
    ]


def test_where_dropping_is_not_enough_each_record_is_a_block() -> None:
    assert shown(sample(), 40) == [
        "mirror    hagicode-aliyun",
        "requests  1+22",
        "bytes     12 MB",
        "seen      3",
        "message   the registry refused the",
        "          upload because its storage is",
        "          full; free space there",
        "",
        "mirror    应用",
        "requests  1",
        "bytes     -",
        "seen      13",
        "message   short",
    ]


@pytest.mark.parametrize("width", range(12, 100, 4))
def test_no_width_breaks_a_word_or_adds_a_line_that_is_too_long(width: int) -> None:
    lines = shown(sample(), width)
    words = {word for line in lines for word in line.split()}
    assert set(MESSAGE.split()) <= words
    assert "hagicode-aliyun" in words
    longest = len("requests") + 2 + len("hagicode-aliyun")
    assert all(len(line) <= max(width, longest) and line == line.rstrip() for line in lines)


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    table = make_table("tag", "message")
    table.add_row("a\nb", "\x1b[31mred\x9b\u202e [bold]")
    assert shown(table, 80)[1] == "a\\nb  \\x1b[31mred\\x9b\\u202e [bold]"
    assert shown(table)[1] == shown(table, 80)[1]


def test_an_encoding_that_lacks_a_character_keeps_the_columns_aligned() -> None:
    table = make_table("goal", "value")
    table.add_row(Text("✔ runs → all", "green"), "≥ 99 %")
    table.add_row("应用", "1")
    out = BytesIO()
    stream = TextIOWrapper(out, "ascii", write_through=True)
    table.print(Console(file=stream, force_terminal=True, width=80, color_system=None))
    assert out.getvalue().decode().splitlines() == [
        "goal          value",
        "+ runs > all  >= 99 %",
        "\\u5e94\\u7528  1",
    ]


def test_a_text_continues_below_with_its_indentation() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=40, color_system=None)
    print_text(console, MESSAGE, indent=2, hang=2)
    assert out.getvalue().splitlines() == [
        "  the registry refused the upload",
        "    because its storage is full; free",
        "    space there",
    ]


def test_every_status_has_a_colour() -> None:
    assert STATUS_COLOURS.keys() == set(RunStatus)
