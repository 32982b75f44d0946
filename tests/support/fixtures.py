"""Fixtures for every part's tests: real registries, and ones in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from flows.local.sample_registry.content import Content, Image, index
from flows.local.sample_registry.images import BOTH, over, single
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.registry_process import DockerRegistry, docker_registry_process
from tests.support.rootfs import root_filesystem_layer


class StartDockerRegistry(Protocol):
    """Starts a docker-registry that ends with the test."""

    def __call__(
        self,
        *,
        auth: bool = False,
        tls: bool = False,
        delete: bool = True,
        proxied: str | None = None,
    ) -> DockerRegistry: ...


@pytest.fixture
def docker_registry(tmp_path: Path) -> Iterator[StartDockerRegistry]:
    """A function that starts real docker-registry processes, each with its own storage."""
    with ExitStack() as running:
        count = 0

        def start(
            *,
            auth: bool = False,
            tls: bool = False,
            delete: bool = True,
            proxied: str | None = None,
        ) -> DockerRegistry:
            nonlocal count
            count += 1
            folder = tmp_path / f"registry-{count}"
            return running.enter_context(
                docker_registry_process(folder, auth=auth, tls=tls, delete=delete, proxied=proxied)
            )

        yield start


@pytest.fixture(scope="session")
def shared_docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    """One real docker-registry for the whole session: use another repository in each test."""
    with docker_registry_process(tmp_path_factory.mktemp("docker-registry")) as registry:
        yield registry


@pytest.fixture
async def fake_registry() -> AsyncIterator[FakeRegistry]:
    """A registry in memory that behaves as the specification says."""
    async with FakeRegistry() as registry:
        yield registry


@pytest.fixture(scope="session")
def root_filesystem() -> Content:
    """A layer of some 20 MB with a real root file system."""
    return root_filesystem_layer()


@pytest.fixture(scope="session")
def root_filesystem_image(root_filesystem: Content) -> Image:
    """An OCI index whose two images share the real root file system as their first layer."""
    images = [single("root", platform, shared=[root_filesystem]) for platform in BOTH]
    entries = [
        image.root.descriptor(platform=platform)
        for image, platform in zip(images, BOTH, strict=True)
    ]
    return over(index(entries), images)
