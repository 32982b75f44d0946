"""Mirrors of one source are grouped, each once, in the order of mirrors.yaml."""

from __future__ import annotations

from mirror.checks.by_source import by_source
from tests.checks.settings import settings

HOST = "registry.example.com"


def test_mirrors_are_grouped_by_source_in_their_order() -> None:
    config = settings(
        {
            "a": (f"{HOST}/one", f"{HOST}/a"),
            "b": (f"{HOST}/two", f"{HOST}/b"),
            "c": (f"{HOST}/one", f"{HOST}/c"),
        }
    )
    mirrors = list(config.mirrors.values())
    groups = by_source([*mirrors, mirrors[0]])
    assert [[mirror.name for mirror in group] for group in groups] == [["a", "c"], ["b"]]


def test_no_mirrors_are_no_groups() -> None:
    assert by_source([]) == []
