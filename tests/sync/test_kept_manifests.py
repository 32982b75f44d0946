"""Manifests are kept as long as there is room, the latest longest."""

from __future__ import annotations

import json

from mirror.registry import Manifest
from mirror.sync.copying.kept_manifests import KeptManifests


def manifest(number: int, size: int = 1_000) -> Manifest:
    document = {"schemaVersion": 2, "manifests": [], "n": number, "x": "y" * size}
    return Manifest.parse(json.dumps(document).encode())


def test_the_oldest_are_given_up_when_there_is_no_more_room() -> None:
    kept = KeptManifests(3_500)
    five = [manifest(number) for number in range(5)]
    for one in five:
        kept.add(one)
        kept.add(one)
    assert [one.digest in kept for one in five] == [False, False, True, True, True]
    assert kept.get(five[4].digest) is five[4]
    kept.forget(five[3].digest)
    kept.add(five[0])
    assert [one.digest in kept for one in five] == [True, False, True, False, True]


def test_one_that_is_larger_than_all_the_room_is_not_kept() -> None:
    kept = KeptManifests(3_500)
    large = manifest(0, 5_000)
    kept.add(large)
    assert kept.get(large.digest) is None
    kept.add(small := manifest(1))
    assert small.digest in kept
