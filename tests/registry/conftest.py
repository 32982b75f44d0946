"""Fixtures of the registry client's tests."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import HealthCheck, settings

from mirror.registry import Credential, Descriptor, Endpoint, Manifest, Registry
from mirror.registry.registry import Repository
from mirror.registry.spec.digest import digest_of
from mirror.registry.spec.media_type import OCI_CONFIG, OCI_MANIFEST
from mirror.registry.upload_session import UploadSession
from tests.support.registry_process import DockerRegistry

_NUMBERS = itertools.count()

# How long an example takes is the machine's business, not a property.
settings.register_profile(
    "steady", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=80
)
settings.load_profile("steady")


def endpoint_of(registry: DockerRegistry, *, anonymous: bool = False) -> Endpoint:
    """The endpoint of a real registry process, with its credential where it has one."""
    auth = None if anonymous else registry.auth
    credential = Credential(*auth, origin="the test") if auth else None
    return Endpoint(
        registry.host,
        insecure=registry.ca_file is None,
        ca_file=registry.ca_file,
        credential=lambda repository: credential,
    )


def content(size: int) -> tuple[bytes, Descriptor]:
    """Random bytes and their descriptor as a layer."""
    data = os.urandom(size)
    return data, Descriptor("application/vnd.oci.image.layer.v1.tar", digest_of(data), size)


async def put_blob(repository: Repository, data: bytes) -> Descriptor:
    """Push bytes as a blob, in one request."""
    digest = digest_of(data)
    upload = await UploadSession.start(repository, digest)
    await upload.commit(data)
    return Descriptor("application/octet-stream", digest, len(data))


async def put_image(repository: Repository, tag: str, *layers: bytes) -> Manifest:
    """Push an OCI image of these layers under a tag."""
    config = await put_blob(repository, b'{"architecture":"amd64","os":"linux"}')
    parts = [await put_blob(repository, layer) for layer in layers]
    raw = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": config.digest, "size": config.size},
            "layers": [
                {"mediaType": part.media_type, "digest": part.digest, "size": part.size}
                for part in parts
            ],
        }
    ).encode()
    manifest = Manifest.parse(raw, OCI_MANIFEST)
    await repository.put_manifest(tag, manifest)
    return manifest


@pytest.fixture
async def registry(shared_docker_registry: DockerRegistry) -> AsyncIterator[Registry]:
    """A client of a real docker-registry that the whole session shares."""
    async with Registry(endpoint_of(shared_docker_registry)) as client:
        yield client


@pytest.fixture
def fresh_name() -> Callable[[], str]:
    """Repository names that nobody else uses."""
    return lambda: f"registry-tests/{os.getpid()}-{next(_NUMBERS)}"
