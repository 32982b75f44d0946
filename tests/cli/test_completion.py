"""Shell completion: commands without importing them, options, mirrors of mirrors.yaml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "from flows.cli import main; main()"
TEXT = (
    "mirrors: {app-aliyun: {source: a/b, target: r.example/b},"
    " db: {source: a/d, target: r.example/d}}"
)


def complete(tmp_path: Path, line: str, text: str = TEXT) -> list[str]:
    """What bash is offered at the end of a line."""
    (tmp_path / "mirrors.yaml").write_text(text)
    words = line.split(" ")
    environment = {
        "_MIRROR_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "MIRROR_CONFIG": str(tmp_path / "mirrors.yaml"),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.stderr == ""
    return [each.partition(",")[2] for each in done.stdout.splitlines() if each]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mirror st", ["status"]),
        ("mirror s", ["sync", "status", "sql", "serve"]),
        ("mirror sync ", ["app-aliyun", "db"]),
        ("mirror sync app-aliyun ", ["db"]),
        ("mirror audit d", ["db"]),
        ("mirror report --mirror a", ["app-aliyun"]),
        ("mirror sync --dry", ["--dry-run"]),
        ("mirror config s", ["schema", "show"]),
    ],
)
def test_what_is_offered(tmp_path: Path, line: str, offered: list[str]) -> None:
    assert complete(tmp_path, line) == offered


def test_a_file_that_cannot_be_read_offers_nothing(tmp_path: Path) -> None:
    assert complete(tmp_path, "mirror sync ", "mirrors: {") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_calls_mirror(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "completion", shell],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_MIRROR_COMPLETE={shell}_complete" in done.stdout
