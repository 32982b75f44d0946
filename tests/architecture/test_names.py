"""A name means one thing in both packages."""

from __future__ import annotations

from collections import defaultdict

from tests.architecture.sources import modules

# Being renamed at the moment; empty once that is done.
RENAMING = {
    *("Day", "Finding", "LeftOut", "Mirror", "Model", "Pace", "Quota", "QuotaReading"),
    *("Repository", "Run", "Severity", "SyncRun"),
}


def test_no_two_public_classes_share_a_name() -> None:
    places = defaultdict(list)
    for module in modules():
        for name in module.classes:
            places[name].append(module.name)
    shared = {name: where for name, where in places.items() if len(where) > 1}
    assert {name: where for name, where in shared.items() if name not in RENAMING} == {}
    assert shared.keys() == RENAMING, "a name is no longer shared: remove it from RENAMING"
