"""The known word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like `word`; None where none is alike."""
    written = word.strip().lower().replace("-", "_")
    by_form = {each.lower().replace("-", "_"): each for each in known}
    if found := get_close_matches(written, by_form, n=1, cutoff=0.6):
        return by_form[found[0]]
    swapped = (each for form, each in by_form.items() if sorted(form) == sorted(written))
    return next(swapped, None)  # amd46


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean latest?`, or "" where nothing is alike."""
    found = nearest(word, known)
    return f"; did you mean {found}?" if found else ""
