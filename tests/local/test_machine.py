"""What the programs of `mirror up` are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.local.machine import _programs
from flows.local.stack import Stack
from flows.local.supervisor import Program, Supervisor
from mirror.config import load_settings

CONFIG = """
registries:
  r.example: {username: me, password_env: R_PASSWORD}
mirrors:
  m: {source: docker.io/team/app, target: r.example/copy/app}
"""


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, Program]:
    (tmp_path / "mirrors.yaml").write_text(CONFIG)
    server, supervisor = Program("prefect-server", ("true",)), Supervisor(tmp_path / "logs")
    url = "http://127.0.0.1:4200"
    stack = Stack(tmp_path, "postgresql://", url, "a:b", server, supervisor, None)
    settings = load_settings(tmp_path / "mirrors.yaml")
    made = _programs(settings, stack, tmp_path / "site", "127.0.0.1", 8080)
    return {program.name: program for program in made}


def test_the_public_address_of_the_site_is_the_operators(programs: dict[str, Program]) -> None:
    for program in programs.values():
        assert "MIRROR_SITE_URL" not in program.environment
        assert program.inherits("MIRROR_SITE_URL") or program.name == "site"
        assert program.environment["MIRROR_SITE_LISTENS"] == "http://127.0.0.1:8080"


def test_credentials_of_registries_go_where_registries_are_reached(
    programs: dict[str, Program],
) -> None:
    holders = {name for name, program in programs.items() if program.inherits("R_PASSWORD")}
    assert holders == {"prefect-worker", "watch"}
    assert programs["watchdog"].inherits("DINGTALK_TOKEN")
    assert not programs["site"].inherits("DINGTALK_TOKEN")
