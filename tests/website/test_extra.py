"""The extra `[site]`: who needs it, who does not, and what is said where it is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli.publish import command
from mirror.website import extra
from mirror.website.errors import LibrariesMissing

ROOT = Path(__file__).parents[2]


def test_the_libraries_are_those_of_the_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split("[<>=]", name)[0] for name in project["optional-dependencies"]["site"]}
    providers = packages_distributions()
    assert {providers[library][0].lower() for library in extra.LIBRARIES} == declared


def test_publish_without_the_extra_names_the_command_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "LIBRARIES", ("jinja2", "not_installed"))
    # Neither a database nor a folder: what is missing is said first.
    monkeypatch.setenv("MIRROR_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    config = tmp_path / "mirrors.yaml"
    config.write_text("mirrors: {m: {source: a.example/x, target: b.example/x}}\n")
    done = CliRunner().invoke(command, [str(tmp_path / "www"), "--config", str(config)])
    assert isinstance(done.exception, LibrariesMissing)
    assert str(done.exception) == (
        "the site needs not_installed, not installed here: run pip install 'hagicode-mirror[site]'"
    )
    assert done.exception.exit_code == 1
    assert not (tmp_path / "www").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["sql", "SELECT 1"]])
def test_commands_that_build_no_site_do_not_import_its_libraries(
    url: str, arguments: list[str]
) -> None:
    program = f"""
import atexit, os, sys
from flows.cli import main
found = lambda: [name for name in {extra.LIBRARIES!r} if name in sys.modules]
atexit.register(lambda: found() and os._exit(99))
main({arguments!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"MIRROR_DATABASE_URL": url, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
