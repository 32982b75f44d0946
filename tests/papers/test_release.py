"""What a release is made from: notes from CHANGELOG.md, and one version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.papers.repository import ROOT, Repository

CHANGELOG = """\
# Changelog

## Unreleased

### Added
- Not yet.

## 1.10.0 - 2026-12-24

### Added
- `mirror unlock`.

### Fixed
- A lock that stayed.

## [1.1.0] - 2026-12-01
- First.

## 1.0.0 - 2026-11-30
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository", {"CHANGELOG.md": CHANGELOG})


def test_the_notes_are_the_section_of_the_version(repository: Repository) -> None:
    notes = repository.run("scripts/release-notes", "1.10.0")
    assert notes.stdout == "### Added\n- `mirror unlock`.\n\n### Fixed\n- A lock that stayed.\n"


def test_a_version_in_brackets_is_found(repository: Repository) -> None:
    assert repository.run("scripts/release-notes", "1.1.0").stdout == "- First.\n"


@pytest.mark.parametrize("version", ["2.0.0", "1.0.0", "1.1", "1.10", "1.1.0 "])
def test_a_version_without_entries_is_an_error_of_one_line(
    repository: Repository, version: str
) -> None:
    notes = repository.run("scripts/release-notes", version)
    assert (notes.returncode, notes.stdout) == (1, "")
    assert notes.stderr.count("\n") == 1
    assert f'no entries under "## {version}"' in notes.stderr


VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def versions_in(path: Path) -> set[str]:
    return set(re.findall(r"hagicode-mirror[:/@]v?(\d[\w.+-]*)", path.read_text()))


def test_the_version_of_docker_compose_is_that_of_pyproject() -> None:
    assert versions_in(ROOT / "docker-compose.yml") == {VERSION}


def test_no_code_writes_a_version_by_hand() -> None:
    code = [
        path for folder in ("flows", "mirror", "bench") for path in (ROOT / folder).rglob("*.py")
    ]
    assert {path: found for path in code if (found := versions_in(path))} == {}
