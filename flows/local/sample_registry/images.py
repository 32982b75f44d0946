"""Sample images as build tools make them: single, Docker list, OCI index, with attestations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import (
    Content,
    Image,
    blobs_of,
    image_config,
    index,
    json_content,
    layer,
    manifest,
)

AMD64 = {"architecture": "amd64", "os": "linux"}
ARM64 = {"architecture": "arm64", "os": "linux"}
BOTH = (AMD64, ARM64)
ATTESTATION_PLATFORM = {"architecture": "unknown", "os": "unknown"}
EMPTY = Content.of(b"{}", mediatypes.OCI_EMPTY)


def single(
    seed: str,
    platform: Mapping[str, str] = AMD64,
    *,
    sizes: Sequence[int] = (2048, 4096),
    docker: bool = False,
    shared: Sequence[Content] = (),
    **more: Any,
) -> Image:
    """One image manifest with a layer per size (bytes) on top of `shared` layers.

    `more` are further keys of the manifest.
    """
    name = f"{seed}/{platform['os']}/{platform['architecture']}"
    layer_type = mediatypes.DOCKER_LAYER if docker else mediatypes.OCI_LAYER
    layers = [*shared, *(layer(f"{name}/{n}", size, layer_type) for n, size in enumerate(sizes))]
    config_type = mediatypes.DOCKER_CONFIG if docker else mediatypes.OCI_CONFIG
    config = image_config(layers, platform, config_type)
    media_type = mediatypes.DOCKER_MANIFEST if docker else mediatypes.OCI_MANIFEST
    root = manifest(config, layers, media_type, **more)
    return Image(root, blobs=blobs_of(config, *layers))


def attested(
    seed: str,
    platforms: Sequence[Mapping[str, str]] = BOTH,
    *,
    artifacts: bool = False,
    sizes: Sequence[int] = (2048, 4096),
) -> Image:
    """An index with BuildKit's attestations, one for each image.

    `artifacts` False: the older form, with an image config. True: BuildKit 0.32 and later, an
    OCI artifact with the empty config and a `subject`.
    """
    images = [single(seed, platform, sizes=sizes) for platform in platforms]
    statements = [attestation(image, artifact=artifacts) for image in images]
    entries = [
        image.root.descriptor(platform=dict(platform))
        for image, platform in zip(images, platforms, strict=True)
    ]
    entries += [
        statement.root.descriptor(
            platform=ATTESTATION_PLATFORM,
            annotations={
                "vnd.docker.reference.digest": image.digest,
                "vnd.docker.reference.type": "attestation-manifest",
            },
        )
        for image, statement in zip(images, statements, strict=True)
    ]
    return over(index(entries), [*images, *statements])


def attestation(image: Image, *, artifact: bool) -> Image:
    """BuildKit's provenance of an image: in-toto statements as layers."""
    statement = json_content(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": "https://slsa.dev/provenance/v1",
            "subject": [{"name": "demo", "digest": {"sha256": image.digest.partition(":")[2]}}],
            "predicate": {"buildType": "https://mobyproject.org/buildkit@v1"},
        },
        mediatypes.IN_TOTO,
    )
    described = statement.descriptor(
        annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"}
    )
    if artifact:
        root = manifest(
            EMPTY,
            [described],
            artifactType="application/vnd.docker.attestation.manifest.v1+json",
            subject=image.root.descriptor(),
        )
        return Image(root, blobs=blobs_of(EMPTY, statement))
    config = json_content(
        {
            **ATTESTATION_PLATFORM,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [statement.digest]},
        },
        mediatypes.OCI_CONFIG,
    )
    return Image(manifest(config, [described]), blobs=blobs_of(config, statement))


def over(root: Content, images: Sequence[Image]) -> Image:
    """An index `root` over images: their manifests and blobs, each once, in push order."""
    children = {content.digest: content for image in images for content in image.manifests}
    blobs = {digest: raw for image in images for digest, raw in image.blobs.items()}
    referrers = tuple(referrer for image in images for referrer in image.referrers)
    return Image(root, tuple(children.values()), blobs, referrers)
