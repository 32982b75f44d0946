"""Errors say what happened, where, and what to do, in one line, and one tree holds them."""

from __future__ import annotations

import pytest

from mirror import history
from mirror.errors import DatabaseError
from mirror.history.database import errors

TARGET = "r.example.com/a/b"
EXAMPLES: list[tuple[errors.HistoryError, str, int]] = [
    (errors.UnknownMirror("m"), "has no mirror named 'm'; sync it once", 2),
    (
        errors.TargetLocked(TARGET, "run run-1 on host-1, process 7"),
        rf"{TARGET}: another run is syncing this target \(run run-1 on host-1, process 7\); wait",
        1,
    ),
    (errors.TargetLocked(TARGET, None), "another run is syncing this target; wait", 1),
    (errors.LockLost(TARGET), f"{TARGET}: .*lost its lock, .*next run continues", 1),
    (errors.QueryRefused("syntax error"), "refuses this query: syntax error", 2),
]


@pytest.mark.parametrize(("error", "said", "code"), EXAMPLES)
def test_an_error_is_one_line_with_its_exit_code(
    error: errors.HistoryError, said: str, code: int
) -> None:
    with pytest.raises(DatabaseError, match=said):
        raise error
    assert "\n" not in str(error)
    assert error.exit_code == code


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    there = {cls.__name__ for cls in errors.HistoryError.__subclasses__()}
    drawn = {
        line.split()[1] for line in (history.__doc__ or "").splitlines() if line[:2] in ("├─", "└─")
    }
    assert drawn == there
