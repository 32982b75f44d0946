"""Images of several platforms, as tests push them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import Image, index
from flows.local.sample_registry.images import BOTH, over, single

ARMV7 = {"architecture": "arm", "os": "linux", "variant": "v7"}


def multi_platform(
    seed: str,
    platforms: Sequence[Mapping[str, str]] = BOTH,
    *,
    sizes: Sequence[int] = (2048, 4096),
    docker: bool = False,
    **more: Any,
) -> Image:
    """An OCI index, or a Docker manifest list, with an image per platform.

    `more` are further keys of the index.
    """
    images = [single(seed, platform, sizes=sizes, docker=docker) for platform in platforms]
    entries = [
        image.root.descriptor(platform=dict(platform))
        for image, platform in zip(images, platforms, strict=True)
    ]
    media_type = mediatypes.DOCKER_LIST if docker else mediatypes.OCI_INDEX
    return over(index(entries, media_type, **more), images)
