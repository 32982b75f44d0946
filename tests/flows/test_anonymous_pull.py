"""A mirror that people cannot pull from without an account is a warning of the run."""

from __future__ import annotations

import pytest

from flows.local.sample_registry.images import single
from mirror.outcome import RunStatus
from tests.flows.conftest import Mirrors
from tests.support.fake_registry.push import push
from tests.support.fixtures import StartDockerRegistry
from tests.support.registry_process import PASSWORD, USERNAME, DockerRegistry

IMAGE = single("private")


async def test_a_run_to_a_private_repository_warns_and_succeeds(
    mirrors: Mirrors, docker_registry: StartDockerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, private = docker_registry(), docker_registry(auth=True)
    await push(source.url, "team/app", "0.1.0", IMAGE)
    monkeypatch.setenv("TARGET_PASSWORD", PASSWORD)
    login = {"username": USERNAME, "password_env": "TARGET_PASSWORD"}
    mirrors.registries[private.host] = {"insecure": True, **login}
    mirrors.add("m", f"{source.host}/team/app", f"{private.host}/copy/app")
    first = await mirrors.sync()
    assert first.status is RunStatus.SUCCEEDED
    assert [warning for warning in first.warnings if "anonymous users cannot pull" in warning]
    unchanged = await mirrors.sync()
    assert (unchanged.warnings, unchanged.requests.target) == ((), 0)


async def test_a_target_that_needs_no_credential_is_not_asked(
    mirrors: Mirrors, shared_docker_registry: DockerRegistry
) -> None:
    host = shared_docker_registry.host
    await push(shared_docker_registry.url, "open/source", "0.1.0", IMAGE)
    mirrors.add("m", f"{host}/open/source", f"{host}/open/target")
    assert (await mirrors.sync()).warnings == ()
