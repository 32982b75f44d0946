"""The tests' own support: real images, skopeo as a witness, and a snapshot that sees damage."""

from __future__ import annotations

import gzip
import io
import tarfile
import uuid
from pathlib import Path

import pytest

from flows.local.sample_registry.content import Content, Image
from flows.local.sample_registry.images import single
from flows.local.sample_registry.store import StoredBlob
from tests.support import skopeo
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.fixtures import StartDockerRegistry
from tests.support.registry_process import DockerRegistry, program
from tests.support.snapshot import snapshot


def test_the_root_file_system_is_one(root_filesystem: Content) -> None:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(root_filesystem.raw))) as layer:
        entries = {entry.name: entry for entry in layer}
    assert entries["./bin/bash"].size > 1_000_000
    assert entries["./bin/mount"].mode & 0o4000
    assert any(entry.issym() for entry in entries.values())
    assert any(entry.islnk() for entry in entries.values())


async def test_skopeo_pulls_the_root_file_system_from_both(
    root_filesystem_image: Image,
    shared_docker_registry: DockerRegistry,
    fake_registry: FakeRegistry,
    tmp_path: Path,
) -> None:
    layout = skopeo.oci_layout(tmp_path / "layout", root_filesystem_image, "root")
    name = f"root/{uuid.uuid4().hex[:8]}"
    real = f"docker://{shared_docker_registry.host}/{name}:root"
    skopeo.copy(layout, real, "--all")
    await push(fake_registry.url, name, "root", root_filesystem_image)
    held = await snapshot(shared_docker_registry.url, name)
    assert held.whole
    assert held == await snapshot(fake_registry.url, name)


async def test_skopeo_pushes_to_ours_and_pulls_from_it(
    fake_registry: FakeRegistry, tmp_path: Path
) -> None:
    image = multi_platform("skopeo")
    layout = skopeo.oci_layout(tmp_path / "layout", image, "1")
    to = f"docker://{fake_registry.host}/app"
    await skopeo.aside(skopeo.copy, layout, f"{to}:1", "--all")
    await skopeo.aside(skopeo.copy, layout, f"{to}:docker", "--all", "--format=v2s2")
    held = await snapshot(fake_registry.url, "app")
    assert held.whole
    assert held.tags["1"] == image.digest
    assert held.tags["docker"] != image.digest
    seen = await skopeo.aside(skopeo.inspect, fake_registry.host, "app", "1")
    assert (seen["Digest"], seen["Architecture"]) == (image.digest, "amd64")
    raw = await skopeo.aside(skopeo.raw_manifest, fake_registry.host, "app", image.digest)
    assert raw == image.root.raw
    back = f"oci:{tmp_path / 'back'}:1"
    await skopeo.aside(skopeo.copy, f"{to}:1", back, "--all")
    for digest, content in image.blobs.items():
        assert (tmp_path / "back" / "blobs" / "sha256" / digest[7:]).read_bytes() == content


async def test_skopeo_reports_why_it_failed(fake_registry: FakeRegistry) -> None:
    with pytest.raises(skopeo.SkopeoError, match=r"(manifest|name) unknown"):
        await skopeo.aside(skopeo.inspect, fake_registry.host, "none", "1")


async def test_a_snapshot_sees_what_is_missing_and_what_is_wrong(
    fake_registry: FakeRegistry,
) -> None:
    image = single("damage")
    await push(fake_registry.url, "app", "1", image)
    first, second, *_ = image.blobs
    whole = await snapshot(fake_registry.url, "app")
    assert whole.whole
    fake_registry.store.repository("app").blobs.discard(first)
    fake_registry.store.blobs[second] = StoredBlob(b"other")
    damaged = await snapshot(fake_registry.url, "app")
    assert damaged.missing == frozenset({first})
    assert damaged.wrong == frozenset({second})
    assert not damaged.whole
    assert damaged != whole
    assert (await snapshot(fake_registry.url, "none")).tags == {}


async def test_docker_registry_keeps_what_it_stored_when_it_is_started_again(
    docker_registry: StartDockerRegistry,
) -> None:
    registry = docker_registry()
    image = single("restart")
    await push(registry.url, "app", "1", image)
    registry.stop()
    registry.start()
    assert (await snapshot(registry.url, "app")).tags == {"1": image.digest}
    assert (registry.storage / "repositories" / "app").is_dir()


async def test_docker_registry_may_be_a_cache_of_another(
    docker_registry: StartDockerRegistry,
) -> None:
    upstream = docker_registry()
    image = single("cache")
    await push(upstream.url, "app", "1", image)
    cache = docker_registry(proxied=upstream.url)
    assert (await snapshot(cache.url, "app")).tags == {"1": image.digest}


def test_a_missing_program_fails_the_test_and_says_what_to_install() -> None:
    with pytest.raises(pytest.fail.Exception, match="apt-get install some-package"):
        program("no-such-program", "some-package")
