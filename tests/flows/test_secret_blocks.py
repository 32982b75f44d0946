"""Passwords in Prefect Secret blocks open registries of flows."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.blocks.system import Secret

from flows.local.sample_registry.images import single
from mirror.outcome import RunStatus
from tests.flows.command import Command
from tests.flows.conftest import Mirrors, Rows
from tests.support.fake_registry.push import push
from tests.support.fixtures import StartDockerRegistry
from tests.support.registry_process import PASSWORD, USERNAME


@pytest.fixture
async def block() -> str:
    """A Secret block of this test's Prefect server, by name."""
    secret: Any = Secret(value=PASSWORD)
    await secret.save("registry-password", overwrite=True)
    return "registry-password"


async def test_a_sync_pushes_with_the_password_of_a_block(
    mirrors: Mirrors, docker_registry: StartDockerRegistry, block: str
) -> None:
    source, private = docker_registry(), docker_registry(auth=True)
    await push(source.url, "team/app", "0.1.0", single("secret"))
    login = {"username": USERNAME, "password_secret": block}
    mirrors.registries[private.host] = {"insecure": True, **login}
    mirrors.add("m", f"{source.host}/team/app", f"{private.host}/copy/app")
    assert (await mirrors.sync()).status is RunStatus.SUCCEEDED


async def test_a_block_that_does_not_exist_is_named(
    mirrors: Mirrors, docker_registry: StartDockerRegistry
) -> None:
    source, private = docker_registry(), docker_registry(auth=True)
    await push(source.url, "team/app", "0.1.0", single("secret"))
    login = {"username": USERNAME, "password_secret": "no-such-block"}
    mirrors.registries[private.host] = {"insecure": True, **login}
    mirrors.add("m", f"{source.host}/team/app", f"{private.host}/copy/app")
    with pytest.raises(Exception, match="no-such-block") as caught:
        await mirrors.sync()
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("wanted", [True, False])
async def test_an_unset_variable_ends_the_command_with_one_line_before_anything_is_copied(
    mirrors: Mirrors,
    docker_registry: StartDockerRegistry,
    command: Command,
    rows: Rows,
    wanted: bool,
) -> None:
    source, target = docker_registry(), docker_registry(auth=wanted)
    await push(source.url, "team/app", "0.1.0", single("secret"))
    login = {"username": USERNAME, "password_env": "NOT_SET_ANYWHERE"}
    mirrors.registries[target.host] = {"insecure": True, **login}
    mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
    ended = await command.run("sync", "m")
    assert ended.code == 2
    assert len(ended.error_lines) == 1
    assert f"registries.{target.host}.password_env" in ended.err
    assert "NOT_SET_ANYWHERE is not set" in ended.err
    assert rows.one("SELECT count(*) FROM tag_sync") == 0
    assert rows.one("SELECT reason FROM sync_run") == "auth"
