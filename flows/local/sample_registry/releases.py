"""Releases as HagiCode tags them: SemVer, with floating tags that move from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flows.local.sample_registry.content import Image
from flows.local.sample_registry.images import attested


@dataclass(frozen=True)
class Release:
    """An exact version, the floating tags that point at it, and its image."""

    version: str
    floating: tuple[str, ...]
    image: Image

    @property
    def tags(self) -> tuple[str, ...]:
        """The exact tag first, then the floating ones."""
        return (self.version, *self.floating)


def release(
    version: str,
    floating: Sequence[str] | None = None,
    *,
    sizes: Sequence[int] = (2048, 4096),
    artifacts: bool = False,
) -> Release:
    """A release with amd64 and arm64 images and their attestations.

    0.1.0-beta.78 also goes under 0.1.0, 0.1, 0 and latest unless `floating` says otherwise.
    `sizes` are bytes of each image's layers; `artifacts` as in `images.attested`.
    """
    if floating is None:
        core = version.partition("-")[0].split(".")
        floating = [".".join(core[:count]) for count in (3, 2, 1)] + ["latest"]
    names = tuple(tag for tag in floating if tag != version)
    return Release(
        version, names, attested(f"hagicode/{version}", sizes=sizes, artifacts=artifacts)
    )
