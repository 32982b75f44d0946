"""Images that mirrors stumble over: unusual, and all allowed by image-spec v1.1."""

from __future__ import annotations

import base64
import json
import struct

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import (
    Content,
    Document,
    Image,
    blobs_of,
    image_config,
    index,
    json_content,
    layer,
    manifest,
    tar_of,
)
from flows.local.sample_registry.images import AMD64, ARM64, EMPTY, over, single
from tests.support.fake_registry.images import multi_platform

NEAR_LIMIT = 4 * 1024 * 1024 - 512  # bytes; registries have to take 4 MiB
_ZSTD_MAGIC = 0xFD2FB528
_ZSTD_BLOCK = 128 * 1024


def nested_index(seed: str) -> Image:
    """An index of two indexes."""
    inner = [multi_platform(f"{seed}/{name}") for name in ("first", "second")]
    return over(index([image.root.descriptor() for image in inner]), inner)


def without_platform(seed: str) -> Image:
    """An index whose descriptors have no `platform`."""
    images = [single(f"{seed}/{number}") for number in range(2)]
    return over(index([image.root.descriptor() for image in images]), images)


def described_at_length(seed: str) -> Image:
    """An index whose descriptors carry annotations, inline `data`, `urls` and unknown keys."""
    images = [single(seed, platform) for platform in (AMD64, ARM64)]
    entries = [
        images[0].root.descriptor(
            platform=AMD64,
            annotations={"org.opencontainers.image.ref.name": "测试"},
            data=base64.b64encode(images[0].root.raw).decode(),
        ),
        images[1].root.descriptor(
            platform={**ARM64, "variant": "v8", "os.version": "10.0"},
            urls=["https://example.invalid/manifest"],
            **{"com.example.unknown": [1, 2.50, {"nested": None}]},
        ),
    ]
    annotations = {"org.opencontainers.image.version": "1", "com.example.empty": ""}
    return over(index(entries, annotations=annotations), images)


def inline_config(seed: str) -> Image:
    """An artifact whose config descriptor has the content in `data`; the blob is there too."""
    content = layer(seed)
    config = EMPTY.descriptor(data=base64.b64encode(EMPTY.raw).decode())
    root = manifest(config, [content], artifactType="application/vnd.example.inline")
    return Image(root, blobs=blobs_of(EMPTY, content))


def artifact(
    seed: str,
    subject: Content | None = None,
    artifact_type: str = "application/vnd.example.sbom+json",
) -> Image:
    """An artifact with the empty config, with a `subject` when one is given."""
    content = Content.of(json.dumps({"sbom": seed}).encode(), artifact_type)
    more: Document = {"artifactType": artifact_type, "annotations": {"com.example.seed": seed}}
    if subject is not None:
        more["subject"] = subject.descriptor()
    return Image(manifest(EMPTY, [content], **more), blobs=blobs_of(EMPTY, content))


def with_referrers(seed: str) -> Image:
    """An image with an SBOM and a signature, and a signature of the SBOM, all by `subject`."""
    image = single(seed)
    sbom = artifact(f"{seed}/sbom", image.root)
    signature = artifact(f"{seed}/sig", image.root, "application/vnd.example.signature")
    of_sbom = artifact(f"{seed}/sbom/sig", sbom.root, "application/vnd.example.signature")
    sbom = Image(sbom.root, blobs=sbom.blobs, referrers=(of_sbom,))
    return Image(image.root, blobs=image.blobs, referrers=(sbom, signature))


def empty_layer(seed: str) -> Image:
    """An image with a layer of no bytes at all."""
    nothing = Content.of(b"", mediatypes.OCI_LAYER_PLAIN)
    content = layer(seed)
    config = image_config([content], AMD64)
    return Image(manifest(config, [nothing, content]), blobs=blobs_of(config, nothing, content))


def zstd_layers(seed: str) -> Image:
    """An image with a layer in zstd."""
    content = Content.of(_zstd(tar_of(seed, 200_000)), mediatypes.OCI_LAYER_ZSTD)
    config = image_config([], AMD64)
    return Image(manifest(config, [content]), blobs=blobs_of(config, content))


def foreign_layers(seed: str, *, docker: bool = False) -> Image:
    """An image with a non-distributable layer, which is not among its blobs."""
    kind = mediatypes.DOCKER_FOREIGN_LAYER if docker else mediatypes.OCI_FOREIGN_LAYER
    foreign = layer(f"{seed}/foreign", media_type=kind)
    content = layer(seed, media_type=mediatypes.DOCKER_LAYER if docker else mediatypes.OCI_LAYER)
    config_type = mediatypes.DOCKER_CONFIG if docker else mediatypes.OCI_CONFIG
    config = image_config(
        [foreign, content], {"architecture": "amd64", "os": "windows"}, config_type
    )
    described = foreign.descriptor(urls=["https://example.invalid/foreign.tar.gz"])
    media_type = mediatypes.DOCKER_MANIFEST if docker else mediatypes.OCI_MANIFEST
    root = manifest(config, [described, content], media_type)
    return Image(root, blobs=blobs_of(config, content))


def large_manifest(seed: str, size: int = NEAR_LIMIT) -> Image:
    """An image whose manifest has `size` bytes, most of them one annotation."""
    image = single(seed, annotations={"padding": ""})
    padding = "x" * (size - len(image.root.raw))
    return single(seed, annotations={"padding": padding})


def unknown_config(seed: str) -> Image:
    """A manifest whose config has a type that no build tool writes."""
    config = Content.of(b"key: value\n", "application/vnd.example.config.v7+yaml")
    content = layer(seed, media_type="application/vnd.example.data")
    return Image(manifest(config, [content]), blobs=blobs_of(config, content))


def sha512_blobs(seed: str) -> Image:
    """A manifest whose config and layer are named by sha512."""
    content = layer(seed, algorithm="sha512")
    config = image_config([content], AMD64)
    config = Content.of(config.raw, config.media_type, "sha512")
    return Image(manifest(config, [content]), blobs=blobs_of(config, content))


def sha512_manifests(seed: str) -> Image:
    """An index whose child is named by sha512, as are that one's config and layer.

    distribution 2.8 refuses it: there a manifest's own digest is sha256.
    """
    image = sha512_blobs(seed)
    child = Content.of(image.root.raw, image.root.media_type, "sha512")
    return Image(index([child.descriptor(platform=AMD64)]), (child,), image.blobs)


def schema1(seed: str) -> Content:
    """A manifest of the form before 2015. It names layers but no sizes: nothing to be copied."""
    document = {
        "schemaVersion": 1,
        "name": seed,
        "tag": "latest",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": layer(seed).digest}],
        "history": [{"v1Compatibility": json.dumps({"id": "0" * 64, "os": "linux"})}],
    }
    return json_content(document, mediatypes.DOCKER_SCHEMA1)


def _zstd(raw: bytes) -> bytes:
    """`raw` as a zstd frame of raw blocks (RFC 8878, sections 3.1.1.1 and 3.1.1.2)."""
    frame = bytearray(struct.pack("<IBI", _ZSTD_MAGIC, 0xA0, len(raw)))
    for offset in range(0, len(raw), _ZSTD_BLOCK):
        block = raw[offset : offset + _ZSTD_BLOCK]
        last = offset + _ZSTD_BLOCK >= len(raw)
        frame += struct.pack("<I", len(block) << 3 | last)[:3] + block
    return bytes(frame)
