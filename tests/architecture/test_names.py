"""A name means one thing in both packages."""

from __future__ import annotations

from collections import defaultdict

from tests.architecture.sources import modules


def test_no_two_public_classes_share_a_name() -> None:
    places = defaultdict(list)
    for module in modules():
        for name in module.classes:
            places[name].append(module.name)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
