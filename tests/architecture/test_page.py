"""docs/architecture.md names what there is."""

from __future__ import annotations

from tests.architecture import tree
from tests.architecture.sources import ROOMS


def test_the_tree_is_that_of_the_packages() -> None:
    assert tree.current() == tree.tree(), "run scripts/tree"


def test_every_room_is_described() -> None:
    page = tree.PAGE.read_text(encoding="utf-8").partition("<!-- tree -->")[0]
    for room in ROOMS:
        assert f"| `{room.replace('.', '/')}/` |" in page
