"""Parts that sample images are made of: layers, configs, descriptors, manifests.

Everything follows from a seed, byte for byte: the same call gives the same digests on every
machine.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.local.sample_registry import media_types as mediatypes

CREATED = "2026-01-01T00:00:00Z"
GZIP = 31  # zlib's wbits for a gzip header of fixed bytes: gzip.compress writes others by version
Document = dict[str, Any]


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of `content`."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


@dataclass(frozen=True)
class Content:
    """Bytes with their media type and digest: a manifest, a config or a layer."""

    raw: bytes
    media_type: str
    digest: str

    @classmethod
    def of(cls, raw: bytes, media_type: str, algorithm: str = "sha256") -> Content:
        """Content whose digest is computed from its bytes."""
        return cls(raw, media_type, digest_of(raw, algorithm))

    def descriptor(self, **more: Any) -> Document:
        """The descriptor of this content, with further keys (`platform`, `annotations`...)."""
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.raw),
            **more,
        }


@dataclass(frozen=True)
class Image:
    """A manifest or index with everything below it.

    `children` are the manifests under the root in the order in which they must be pushed;
    `blobs` every config and layer to upload, by digest. `referrers` are images whose
    subject is one of these manifests.
    """

    root: Content
    children: tuple[Content, ...] = ()
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    referrers: tuple[Image, ...] = ()

    @property
    def digest(self) -> str:
        """The digest of the root."""
        return self.root.digest

    @property
    def manifests(self) -> tuple[Content, ...]:
        """Children, then the root: push order."""
        return (*self.children, self.root)


def json_content(
    document: Mapping[str, Any], media_type: str, algorithm: str = "sha256"
) -> Content:
    """A JSON document as content, written as build tools write it (indented by three)."""
    return Content.of(json.dumps(document, indent=3).encode(), media_type, algorithm)


def layer(
    seed: str, size: int = 2048, media_type: str = mediatypes.OCI_LAYER, algorithm: str = "sha256"
) -> Content:
    """A gzipped tar with one file of `size` random bytes.

    Stored, not deflated: random bytes do not shrink, and neither Python's nor zlib's version
    changes the digest.
    """
    return Content.of(zlib.compress(tar_of(seed, size), 0, wbits=GZIP), media_type, algorithm)


def tar_of(seed: str, size: int) -> bytes:
    """A tar archive with one file of `size` random bytes that follow from `seed`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(f"app/{seed.replace('/', '_')}.bin")
        entry.size = size
        content = random.Random(seed).randbytes(size)  # noqa: S311 - a sample, not a secret
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def image_config(
    layers: Sequence[Content], platform: Mapping[str, str], media_type: str = mediatypes.OCI_CONFIG
) -> Content:
    """An image configuration for gzipped layers (image-spec v1.1, "Image Configuration")."""
    diff_ids = [digest_of(gzip.decompress(item.raw)) for item in layers]
    document = {
        "created": CREATED,
        **platform,
        "config": {"Env": ["PATH=/app"], "Cmd": ["/app/hagicode"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": CREATED, "created_by": "demo"} for _ in layers],
    }
    return json_content(document, media_type)


def manifest(
    config: Content | Document,
    layers: Sequence[Content | Document],
    media_type: str = mediatypes.OCI_MANIFEST,
    algorithm: str = "sha256",
    **more: Any,
) -> Content:
    """A manifest; `more` are further keys (`subject`, `artifactType`, `annotations`...)."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _described(config),
        "layers": [_described(item) for item in layers],
        **more,
    }
    return json_content(document, media_type, algorithm)


def index(
    entries: Sequence[Document],
    media_type: str = mediatypes.OCI_INDEX,
    algorithm: str = "sha256",
    **more: Any,
) -> Content:
    """An image index or Docker manifest list over descriptors."""
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(entries), **more}
    return json_content(document, media_type, algorithm)


def blobs_of(*contents: Content) -> dict[str, bytes]:
    """Contents by digest."""
    return {content.digest: content.raw for content in contents}


def _described(item: Content | Document) -> Document:
    return item.descriptor() if isinstance(item, Content) else item
