"""A finished build is put in place at once, and only where `publish` may write."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.website import BuildFailed, NotOurs, publish_to


def test_a_publish_replaces_the_site_at_once_and_keeps_the_previous_one(tmp_path: Path) -> None:
    public = tmp_path / "www"
    public.mkdir()  # an empty folder is accepted
    folders: list[Path] = []
    for text in ("one", "two", "three"):
        seen = (public / "index.html").read_text("utf-8") if folders else None

        def build(folder: Path, text: str = text, seen: str | None = seen) -> None:
            (folder / "index.html").write_text(text, encoding="utf-8")
            if seen is not None:  # while a build runs, readers see the previous site
                assert (public / "index.html").read_text("utf-8") == seen

        folders.append(publish_to(public, build))
        assert (public / "index.html").read_text("utf-8") == text
    assert not folders[0].exists()
    assert folders[1].is_dir()
    assert public.resolve() == folders[2]


def test_a_build_that_fails_leaves_the_site_as_it_was(tmp_path: Path) -> None:
    public = tmp_path / "www"

    def well(folder: Path) -> None:
        (folder / "index.html").write_text("one")

    publish_to(public, well)

    def fail(folder: Path) -> None:
        (folder / "half.html").write_text("half")
        raise BuildFailed("no")

    with pytest.raises(BuildFailed):
        publish_to(public, fail)
    assert (public / "index.html").read_text() == "one"
    assert len([path for path in (tmp_path / ".www.builds").iterdir() if path.is_dir()]) == 1


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(NotOurs, match="absent or empty"):
        publish_to(tmp_path, lambda folder: None)
    with pytest.raises(NotOurs, match="is a file"):
        publish_to(tmp_path / "precious.txt", lambda folder: None)
    assert (tmp_path / "precious.txt").read_text() == "mine"
