"""Rows of Docker Hub's tag list: what the web API tells of one tag."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flows.local.fake_registry.store import StoredManifest


@dataclass(frozen=True)
class HubImage:
    """One platform of a tag; `size` is the sum of its layers in bytes."""

    architecture: str
    os: str
    variant: str | None
    digest: str
    size: int


@dataclass(frozen=True)
class HubRow:
    """One tag. `pushed_at` is aware, UTC; `size` bytes of all its images."""

    name: str
    digest: str
    media_type: str
    pushed_at: datetime
    images: tuple[HubImage, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all images."""
        return sum(image.size for image in self.images)


def row_of(
    tag: str,
    manifest: StoredManifest,
    manifests: Mapping[str, StoredManifest],
    pushed_at: datetime,
) -> HubRow:
    """The row of a tag whose manifest was pushed; `manifests` holds its children by digest."""
    document = json.loads(manifest.raw)
    children = document.get("manifests")
    if children is None:
        images: tuple[HubImage, ...] = (_image(manifest, {}),)
    else:
        images = tuple(
            _image(manifests[child["digest"]], child.get("platform") or {})
            for child in children
            if child["digest"] in manifests
        )
    return HubRow(tag, manifest.digest, manifest.media_type, pushed_at, images)


def _image(manifest: StoredManifest, platform: Mapping[str, str]) -> HubImage:
    layers = json.loads(manifest.raw).get("layers", [])
    return HubImage(
        platform.get("architecture", "amd64"),
        platform.get("os", "linux"),
        platform.get("variant"),
        manifest.digest,
        sum(item["size"] for item in layers),
    )
