"""`mirror config`: check, show and schema, without registries and databases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from flows.cli.config import command
from mirror.errors import ConfigError

TEXT = """
registries: {r.example: {username_env: R_USER, password_env: R_PASSWORD}}
mirrors:
  a: {source: docker.io/a/b, target: r.example/b}
  c: {source: docker.io/c/*, target: r.example/c_*}
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mirrors.yaml"
    path.write_text(TEXT)
    monkeypatch.setenv("MIRROR_CONFIG", str(path))
    monkeypatch.setenv("R_USER", "someone")
    monkeypatch.delenv("R_PASSWORD", raising=False)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def test_a_good_file_is_counted_and_unset_variables_are_warnings(path: Path) -> None:
    done = run("check")
    assert (done.exit_code, done.stdout) == (
        0,
        f"{path}: 1 mirror, 1 entry for many repositories, 1 registry: no mistakes\n",
    )
    assert done.stderr == "mirror: warning: not set in this environment: R_PASSWORD\n"
    document = json.loads(run("check", "--json").stdout)
    assert (document["ok"], document["mirrors"]) == (True, ["a", "c"])
    assert document["unset_variables"] == ["R_PASSWORD"]


def test_a_bad_file_ends_with_2(path: Path) -> None:
    path.write_text("mirrors: {}")
    with pytest.raises(ConfigError, match="no mirror; write"):
        run("check")
    done = run("check", "--json")
    assert done.exit_code == 2
    (problem,) = json.loads(done.stdout)["problems"]
    assert "no mirror; write" in problem


def test_settings_are_shown_with_names_instead_of_secrets(path: Path) -> None:
    done = run("show")
    assert "someone" not in done.stdout
    assert "# R_USER: set\n# R_PASSWORD: not set\n" in done.stdout
    document = yaml.safe_load(done.stdout)
    assert document["mirrors"]["a"]["every"] == "30m"
    assert document["mirrors"]["c"]["repositories"]["include"] == ["*"]
    assert document["registries"]["docker.io"]["hub_api"] == "https://hub.docker.com"
    assert json.loads(run("show", "--json").stdout)["environment"]["R_USER"] == "set"


def test_one_mirror_is_shown_and_one_repository_of_an_entry(path: Path) -> None:
    document = yaml.safe_load(run("show", "a", "c/redis").stdout)
    assert list(document) == ["registries", "mirrors"]
    assert list(document["mirrors"]) == ["a", "c/redis"]
    assert document["mirrors"]["c/redis"]["target"] == "r.example/c_redis"
    with pytest.raises(ConfigError, match="no mirror is named 'b'"):
        run("show", "b")


def test_entries_are_expanded_to_what_their_source_lists(path: Path) -> None:
    (path.parent / "names").write_text("redis\nteam/db\n")
    path.write_text(
        "mirrors: {c: {source: docker.io/c/*, target: r.example/c_*, repositories: {file: names}}}"
    )
    document = json.loads(run("show", "--expand", "--json").stdout)
    assert {name: each["source"] for name, each in document["mirrors"].items()} == {
        "c/redis": "docker.io/c/redis",
        "c/team/db": "docker.io/c/team/db",
    }
