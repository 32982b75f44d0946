"""skopeo as maker and as witness: what it pushed to the source, it pulls from the mirror."""

from __future__ import annotations

from pathlib import Path

from flows.local.sample_registry.content import Image
from tests.flows.conftest import Mirrors
from tests.support import skopeo
from tests.support.fixtures import StartDockerRegistry
from tests.support.snapshot import snapshot


async def test_images_made_by_skopeo_with_a_real_root_file_system_are_pulled_from_the_mirror(
    docker_registry: StartDockerRegistry,
    mirrors: Mirrors,
    root_filesystem_image: Image,
    tmp_path: Path,
) -> None:
    source, target = docker_registry(), docker_registry()
    layout = skopeo.oci_layout(tmp_path / "layout", root_filesystem_image, "root")
    to = f"docker://{source.host}/team/app"
    await skopeo.aside(skopeo.copy, layout, f"{to}:oci", "--all")
    await skopeo.aside(skopeo.copy, layout, f"{to}:docker", "--all", "--format=v2s2")
    await skopeo.aside(skopeo.copy, layout, f"{to}:single", "--override-arch=amd64")
    mirrors.add("m", f"{source.host}/team/app", f"{target.host}/copy/app")
    outcome = await mirrors.sync()
    assert outcome.errors == ()
    assert outcome.tags.copied == 3
    there = await snapshot(target.url, "copy/app")
    assert there.whole
    assert there == await snapshot(source.url, "team/app")
    for tag in ("oci", "docker", "single"):
        before = skopeo.inspect(source.host, "team/app", tag)
        after = skopeo.inspect(target.host, "copy/app", tag)
        assert after["Digest"] == before["Digest"]
        assert after["Layers"] == before["Layers"]
        pulled = tmp_path / f"pulled-{tag}"
        skopeo.copy(f"docker://{target.host}/copy/app:{tag}", f"dir:{pulled}", "--all")
        # skopeo checks every digest while it copies; the root file system is among what it wrote.
        assert max(file.stat().st_size for file in pulled.iterdir()) > 10_000_000
