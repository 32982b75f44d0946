"""A small git repository with the project's scripts in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

_AUTHOR = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
}


class Repository:
    """A repository in `folder` whose first commit is tagged `base`."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "scripts", folder / "scripts")
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.commit("Start", files)
        self.run("git", "tag", "base")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """What `command` returned and printed, with no settings of the user's own git."""
        variables = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=variables | _AUTHOR | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def commit(self, message: str, files: dict[str, str]) -> None:
        """Write `files`, by path, and commit everything."""
        for path, text in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(text)
        self.run("git", "add", "--all")
        committed = self.run("git", "commit", "--quiet", f"--message={message}")
        assert committed.returncode == 0, committed.stderr
