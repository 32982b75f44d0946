"""The login of Prefect's API: who makes it, who reads it, and where it is used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flows.orchestration.api_login import (
    LOGIN_ENV,
    SERVER_ENV,
    login_file,
    note_address,
    server_login,
    use_known_login,
    weakness,
)
from mirror.errors import ConfigError

URL = "http://127.0.0.1:4200/api"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (LOGIN_ENV, SERVER_ENV, "PREFECT_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_it_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        login = server_login(tmp_path)
    finally:
        os.umask(before)
    assert login_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert server_login(tmp_path) == login
    assert weakness(login) is None
    other = tmp_path / "other"
    other.mkdir()
    assert server_login(other) != login


def test_one_that_others_can_read_is_refused(tmp_path: Path) -> None:
    server_login(tmp_path)
    login_file(tmp_path).chmod(0o640)
    with pytest.raises(ConfigError, match="others can read the login"):
        server_login(tmp_path)


def test_the_environment_decides_and_must_be_strong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SERVER_ENV, "ops:a-password-of-enough-length")
    assert server_login(tmp_path) == "ops:a-password-of-enough-length"
    assert not login_file(tmp_path).exists()
    for weak in ("", "ops", "ops:short", "a-password-without-a-user"):
        monkeypatch.setenv(SERVER_ENV, weak)
        with pytest.raises(ConfigError, match=SERVER_ENV):
            server_login(tmp_path)


def test_it_is_sent_to_its_own_server_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOGIN_ENV, "")  # so that what is set here is undone
    login = server_login(tmp_path)
    use_known_login(tmp_path, URL)
    assert not os.environ[LOGIN_ENV]  # no server was started yet
    note_address(tmp_path, URL)
    for elsewhere in ("http://127.0.0.1:4201/api", "https://prefect.example/api"):
        use_known_login(tmp_path, elsewhere)
        assert not os.environ[LOGIN_ENV]
    use_known_login(tmp_path, f"{URL}/")
    assert os.environ[LOGIN_ENV] == login


@pytest.mark.parametrize("name", [LOGIN_ENV, "PREFECT_API_KEY"])
def test_a_persons_own_credential_stays(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_login(tmp_path)
    note_address(tmp_path, URL)
    monkeypatch.setenv(name, "mine")
    use_known_login(tmp_path, URL)
    assert os.environ[name] == "mine"
    assert os.environ.get(LOGIN_ENV, "mine") == "mine"
