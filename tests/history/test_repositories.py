"""The repositories of entries are kept, missed, given up and taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from mirror.config import load_settings
from mirror.history import RepositoryRecorder, with_repositories
from mirror.sync import KnownRepository, RepositoryLook

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PUSHED = NOW - timedelta(hours=5)


def test_a_look_is_read_back(engine: sa.Engine) -> None:
    recorder = RepositoryRecorder(engine)
    recorder.write(RepositoryLook("all", dict.fromkeys(["a", "b", "c"])), NOW)
    recorder.write(RepositoryLook("other", {"a": None}), NOW)
    recorder.looked("all", {"b": PUSHED})
    later = NOW + timedelta(days=2)
    recorder.write(
        RepositoryLook("all", {"a": None}, kept=("b",), missing=("b",), gone=("c",)), later
    )
    assert recorder.read(("all", "none")) == {
        "all": {
            "a": KnownRepository("a"),
            "b": KnownRepository("b", missing_since=later, updated_at=PUSHED),
            "c": KnownRepository("c", gone_at=later),
        },
        "none": {},
    }
    recorder.write(RepositoryLook("all", {"b": None, "c": None}), later + timedelta(hours=1))
    known = recorder.read(("all",))["all"]
    assert (known["b"].missing_since, known["c"].gone_at) == (None, None)


def test_a_repository_that_stays_missing_is_missing_since_the_first_list(
    engine: sa.Engine,
) -> None:
    recorder = RepositoryRecorder(engine)
    recorder.write(RepositoryLook("all", dict.fromkeys(["a", "b"])), NOW)
    for hours in (1, 2):
        look = RepositoryLook("all", {"a": None}, kept=("b",), missing=("b",))
        recorder.write(look, NOW + timedelta(hours=hours))
    assert recorder.read(("all",))["all"]["b"].missing_since == NOW + timedelta(hours=1)


def test_settings_have_the_mirrors_of_known_repositories(
    engine: sa.Engine, url: str, tmp_path: Path
) -> None:
    path = tmp_path / "mirrors.yaml"
    path.write_text(
        "mirrors:\n  all: {source: 'r.example.com/team/*', target: 't.example.com/x/*'}\n"
    )
    recorder = RepositoryRecorder(engine)
    recorder.write(RepositoryLook("all", dict.fromkeys(["a", "b"]), gone=("b",)), NOW)
    settings = with_repositories(load_settings(path), url)
    assert list(settings.mirrors) == ["all/a"]
