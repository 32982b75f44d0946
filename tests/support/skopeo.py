"""skopeo as a witness: it makes images, and reads what a mirror ends up with."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from flows.local.sample_registry.content import Image
from tests.support.registry_process import program

P = ParamSpec("P")
T = TypeVar("T")


class SkopeoError(Exception):
    """skopeo refused; the message is what it said."""


def skopeo(*arguments: str) -> str:
    """Run skopeo without a signature policy and without TLS; its output. Raises SkopeoError."""
    command = [program("skopeo", "skopeo"), "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise SkopeoError(done.stderr.strip())
    return done.stdout


async def aside(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Run one of this module's functions in a thread: a registry in memory must go on serving."""
    return await asyncio.to_thread(function, *arguments, **named)


def copy(source: str, destination: str, *options: str) -> None:
    """Copy one image, or all of an index with "--all".

    Addresses as skopeo writes them: "docker://127.0.0.1:5000/app:1", "oci:folder:tag".
    """
    skopeo(
        "copy", "--src-tls-verify=false", "--dest-tls-verify=false", *options, source, destination
    )


def inspect(host: str, repository: str, reference: str) -> Mapping[str, Any]:
    """What skopeo says of an image on a registry without TLS (linux/amd64 of an index)."""
    mark = "@" if ":" in reference else ":"
    address = f"docker://{host}/{repository}{mark}{reference}"
    options = ("--tls-verify=false", "--override-os=linux", "--override-arch=amd64")
    document: dict[str, Any] = json.loads(skopeo("inspect", *options, address))
    return document


def raw_manifest(host: str, repository: str, reference: str) -> bytes:
    """The manifest of a tag or digest as skopeo fetches it."""
    mark = "@" if ":" in reference else ":"
    address = f"docker://{host}/{repository}{mark}{reference}"
    return skopeo("inspect", "--raw", "--tls-verify=false", address).encode()


def oci_layout(folder: Path, image: Image, tag: str) -> str:
    """Write an image as an OCI layout (image-spec v1.1, "Image Layout"); its skopeo address."""
    blobs = dict(image.blobs) | {content.digest: content.raw for content in image.manifests}
    for digest, raw in blobs.items():
        algorithm, _, encoded = digest.partition(":")
        path = folder / "blobs" / algorithm / encoded
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    named = image.root.descriptor(annotations={"org.opencontainers.image.ref.name": tag})
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    return f"oci:{folder}:{tag}"
