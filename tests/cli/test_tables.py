"""The shared table: alignment, and which columns give way."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from flows.cli.tables import STATUS_COLOURS, make_table
from mirror.outcome import RunStatus


def shown(width: int, *titles: str, row: tuple[str, ...], wrap: bool = True) -> list[str]:
    table = make_table(*titles, wrap=wrap)
    table.add_row(*row)
    out = StringIO()
    Console(file=out, width=width).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_numbers_are_right_aligned_and_marks_are_not_shown() -> None:
    assert shown(40, "tag", ">count", row=("latest", "1")) == ["tag     count", "latest      1"]


def test_a_column_that_fills_the_rest_is_cut_off() -> None:
    lines = shown(24, "reason", "~message", row=("network", "x" * 60), wrap=False)
    assert lines[1].startswith("network  xxx") and len(lines) == 2 and len(lines[1]) <= 24


def test_a_column_may_break_long_words() -> None:
    lines = shown(12, "/registry", row=("registry.example.com/a",))
    assert "".join(lines[1:]) == "registry.example.com/a"


def test_every_status_has_a_colour() -> None:
    assert STATUS_COLOURS.keys() == set(RunStatus)
