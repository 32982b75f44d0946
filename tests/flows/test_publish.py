"""The flow `publish` puts the site of the history in place, end to end after a real sync."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.publish import publish
from tests.flows.conftest import Mirrors, Pair
from tests.support.fake_registry.push import push
from tests.support.fake_registry.releases import past_releases


async def test_what_was_synced_is_on_the_site_with_its_digests(
    mirrors: Mirrors, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in past_releases(2):
        await push(pair.source_url, pair.source, item.tags, item.image)
    synced = await mirrors.sync(full=True)
    public = tmp_path / "public"
    monkeypatch.setenv("MIRROR_SITE_DIR", str(public))
    state: Any = await publish(return_state=True)
    assert state.is_completed()
    assert state.message.startswith(f"1 mirrors, {synced.tags.copied} tags, ")
    status = json.loads((public / "status.json").read_text(encoding="utf-8"))
    (mirror,) = status["mirrors"]
    assert (mirror["name"], mirror["health"]) == ("m", "good")
    assert mirror["tags"] == {"synced": synced.tags.copied, "behind": 0, "behind_since": None}
    assert mirror["success"]["tags"]["rate"] == 1
    page = next((public / "tags").glob("image-*/index.html")).read_text(encoding="utf-8")
    for item in past_releases(2):
        assert item.version in page
        assert item.image.root.digest in page


async def test_a_build_that_fails_fails_the_run_and_leaves_the_site(
    mirrors: Mirrors, pair: Pair, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    state: Any = await publish(directory=str(tmp_path / "precious"), return_state=True)
    assert state.is_failed()
    assert "absent or empty" in state.message
    assert (tmp_path / "precious" / "file").read_text() == "mine"


async def test_without_the_libraries_of_the_site_the_run_fails_with_the_command_to_run(
    mirrors: Mirrors, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirror.website.extra.LIBRARIES", ("not_installed",))
    state: Any = await publish(directory=str(tmp_path / "public"), return_state=True)
    assert state.is_failed()
    assert state.message.count("\n") == 0
    assert "pip install 'hagicode-mirror[site]'" in state.message
    assert not (tmp_path / "public").exists()
