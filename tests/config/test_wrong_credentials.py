"""A real registry that requires a password: what a wrong, missing or slow credential causes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from mirror.config.credentials import endpoint
from mirror.config.settings import Settings
from mirror.errors import ConfigError
from mirror.registry import NotFound, Registry, Repository, Unauthorized
from tests.support.fixtures import StartDockerRegistry
from tests.support.registry_process import PASSWORD, USERNAME, DockerRegistry
from tests.support.users import User

WRONG = "not-the-password"


@pytest.fixture
def private(docker_registry: StartDockerRegistry) -> DockerRegistry:
    """Requires a password, and has a private certificate."""
    return docker_registry(auth=True, tls=True)


def registry(private: DockerRegistry, entry: Mapping[str, object]) -> Registry:
    settings = Settings.model_validate(
        {
            "registries": {private.host: {"ca_file": private.ca_file, **entry}},
            "mirrors": {
                "one": {
                    "name": "one",
                    "source": f"{private.host}/a/b",
                    "target": f"{private.host}/a/c",
                }
            },
        }
    )
    return Registry(endpoint(settings, private.host))


async def tags_of(repository: Repository) -> list[str]:
    try:
        return await repository.tags()
    except NotFound:
        return []


async def test_a_login_of_docker_opens_a_registry_with_a_private_certificate(
    private: DockerRegistry, user: User
) -> None:
    login = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    user.docker_config({"auths": {private.host: {"auth": login}}})
    async with registry(private, {}) as opened:
        assert await tags_of(opened.repository("a/b")) == []


@pytest.mark.usefixtures("user")
async def test_a_wrong_password_is_named_by_registry_and_variable_never_by_value(
    private: DockerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_USER", USERNAME)
    monkeypatch.setenv("SOME_PASSWORD", WRONG)
    entry = {"username_env": "SOME_USER", "password_env": "SOME_PASSWORD"}
    async with registry(private, entry) as opened:
        with pytest.raises(Unauthorized) as caught:
            await opened.repository("a/b").tags()
    message = str(caught.value)
    assert private.host in message
    assert "SOME_PASSWORD from the environment" in message
    assert WRONG not in message


async def test_a_wrong_password_of_a_helper_names_the_helper(
    private: DockerRegistry, user: User
) -> None:
    user.docker_config({"credHelpers": {private.host: "fake"}})
    user.helper("fake", f"""printf '{{"Username":"{USERNAME}","Secret":"{WRONG}"}}'""")
    async with registry(private, {}) as opened:
        with pytest.raises(Unauthorized, match="credential helper docker-credential-fake"):
            await opened.repository("a/b").tags()


@pytest.mark.usefixtures("user")
async def test_no_login_at_all_says_that_there_was_none(private: DockerRegistry) -> None:
    async with registry(private, {}) as opened:
        with pytest.raises(Unauthorized) as caught:
            await opened.repository("a/b").tags()
    assert private.host in str(caught.value)
    assert "environment" not in str(caught.value)


@pytest.mark.usefixtures("user")
async def test_an_unset_variable_comes_through_the_client_as_a_configuration_error(
    private: DockerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOME_PASSWORD", raising=False)
    async with registry(private, {"username": "x", "password_env": "SOME_PASSWORD"}) as opened:
        with pytest.raises(ConfigError, match="SOME_PASSWORD is not set"):
            await opened.repository("a/b").tags()


async def test_a_slow_helper_does_not_hold_up_the_event_loop(
    private: DockerRegistry, user: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mirror.config.docker_config.HELPER_TIMEOUT", 20.0)
    started, answer = tmp_path / "started", tmp_path / "answer"
    user.docker_config({"credHelpers": {private.host: "slow"}})
    user.helper(
        "slow",
        f"""touch {started}; until [ -e {answer} ]; do sleep 0.05; done
        printf '{{"Username":"{USERNAME}","Secret":"{PASSWORD}"}}'""",
    )

    async def let_it_answer() -> None:
        """Only a loop that goes on can do this; the helper fails without it."""
        while not started.exists():  # noqa: ASYNC110 - another process makes the file
            await asyncio.sleep(0.01)
        answer.touch()

    async with registry(private, {}) as opened:
        tags, _ = await asyncio.gather(tags_of(opened.repository("a/b")), let_it_answer())
    assert tags == []
