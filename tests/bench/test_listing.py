"""The web API's listing, as the bench writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.content import Content, Image, Layer
from bench.process import RegistryServer
from bench.stage import Source


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    with RegistryServer(tmp_path / "store") as server:
        yield Source(server, tmp_path / "listing.json")


def image(tag: str, label: str) -> Image:
    return Image(tag, ((Layer("one", 1000),),), label)


def test_a_push_changes_the_push_time_of_what_it_moved_alone(source: Source) -> None:
    source.push(Content("bench/app", (image("1", "a"), image("2", "b"))))
    before = {row["name"]: row for row in json.loads(source.listing.read_text())["bench/app"]}
    source.push(Content("bench/app", (image("1", "c"), image("2", "b"), image("3", "d"))))
    after = {row["name"]: row for row in json.loads(source.listing.read_text())["bench/app"]}

    assert list(before) == ["2", "1"]
    assert list(after) == ["3", "1", "2"], "newest first"
    assert after["2"] == before["2"]
    assert after["1"]["tag_last_pushed"] > before["1"]["tag_last_pushed"]
    assert after["1"]["digest"] != before["1"]["digest"]
