"""What hangs on an image by tag: cosign's tags, and the fallback tag of the referrers API."""

from __future__ import annotations

import json

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import (
    Content,
    Image,
    blobs_of,
    image_config,
    index,
    manifest,
)
from flows.local.sample_registry.documents import ManifestDocument
from flows.local.sample_registry.images import AMD64, over

_SUFFIXES = {
    "sig": mediatypes.COSIGN_SIGNATURE,
    "att": "application/vnd.dsse.envelope.v1+json",
    "sbom": "text/spdx+json",
}


def cosign_tags(image: Image) -> dict[str, Image]:
    """cosign's signature, attestation and SBOM of an image, by tag: `sha256-<hex>.sig`..."""
    return {
        f"{fallback_tag(image)}.{suffix}": _attached(image, suffix, media_type)
        for suffix, media_type in _SUFFIXES.items()
    }


def fallback_tag(image: Image) -> str:
    """`sha256-<hex>` (distribution-spec v1.1, "Referrers Tag Schema")."""
    return image.digest.replace(":", "-", 1)


def fallback_index(referrers: tuple[Image, ...]) -> Image:
    """The index that a client keeps under the fallback tag where there is no referrers API."""
    entries = []
    for referrer in referrers:
        document = ManifestDocument.parse(referrer.root.raw)
        more = {"annotations": document.annotations} if document.annotations else {}
        entries.append(referrer.root.descriptor(artifactType=document.kind, **more))
    return over(index(entries), referrers)


def _attached(image: Image, suffix: str, media_type: str) -> Image:
    payload = {
        "critical": {
            "identity": {"docker-reference": "demo"},
            "image": {"docker-manifest-digest": image.digest},
            "type": f"cosign container image {suffix}",
        }
    }
    content = Content.of(json.dumps(payload).encode(), media_type)
    described = content.descriptor(annotations={"dev.cosignproject.cosign/signature": "MEUCIQ=="})
    config = image_config([], AMD64)
    return Image(manifest(config, [described]), blobs=blobs_of(config, content))
