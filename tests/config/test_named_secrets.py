"""What the variables that mirrors.yaml names hold is a secret as soon as the file is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.config import load_settings
from mirror.outside_text import MARK, redacted

DOCUMENT = """
registries:
  r.example: {username: robot, password_env: NAMED_REGISTRY}
mirrors: {m: {source: a/b, target: r.example/x}}
hooks: {secret_env: NAMED_HOOK}
alerts:
  - dingtalk: {token_env: NAMED_TOKEN, secret_env: NAMED_SIGNING}
  - apprise: {url_env: NAMED_URL}
"""
NAMES = ("REGISTRY", "HOOK", "TOKEN", "SIGNING", "URL")


def test_they_are_redacted_before_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {name: f"planted {name.lower()}" for name in NAMES}
    values["URL"] = "json://robot:planted%20url@service.example/x"
    for name, value in values.items():
        monkeypatch.setenv(f"NAMED_{name}", value)
    file = tmp_path / "mirrors.yaml"
    file.write_text(DOCUMENT)
    assert redacted("planted registry") == "planted registry"
    load_settings(file)
    for value in (*values.values(), "planted url"):
        assert redacted(f"broken: {value}") == f"broken: {MARK}"
    assert redacted("robot") == "robot"
