"""A user of this machine with a separate home folder, logins and helper programs."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class User:
    """A home folder and a folder on PATH, and how to fill them."""

    home: Path
    programs: Path

    def docker_config(self, content: Mapping[str, object] | str) -> Path:
        """Write ~/.docker/config.json; text is written as it is."""
        return self.auth_file(self.home / ".docker" / "config.json", content)

    def auth_file(self, path: Path, content: Mapping[str, object] | str) -> Path:
        """Write an auth file at any path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def helper(self, name: str, script: str) -> Path:
        """Install a shell script as docker-credential-NAME; `$server` holds what it is asked."""
        program = self.programs / f"docker-credential-{name}"
        program.write_text(f'#!/bin/sh\nread -r server || [ -n "$server" ] || exit 9\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user whose home is empty and who has no logins in the environment."""
    home, programs = tmp_path / "home", tmp_path / "programs"
    home.mkdir()
    programs.mkdir()
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return User(home, programs)
