"""Manifests that are kept for those who need them next, by what they take of memory."""

from __future__ import annotations

from typing import Final

from mirror.registry import Manifest

_BYTES: Final = 16 << 20


class KeptManifests:
    """Manifests by digest. Beyond so many bytes of memory the oldest are given up."""

    def __init__(self, most: int = _BYTES) -> None:
        self._most = most
        self._kept: dict[str, Manifest] = {}
        self._size = 0

    def __contains__(self, digest: object) -> bool:
        return digest in self._kept

    def add(self, manifest: Manifest) -> None:
        """Keep a manifest."""
        if manifest.digest in self._kept:
            return
        self._kept[manifest.digest] = manifest
        self._size += manifest.memory
        while self._size > self._most:
            self._size -= self._kept.pop(next(iter(self._kept))).memory

    def get(self, digest: str) -> Manifest | None:
        """The manifest, if it is still kept."""
        return self._kept.get(digest)

    def forget(self, digest: str) -> None:
        """Do not keep it any more."""
        if (manifest := self._kept.pop(digest, None)) is not None:
            self._size -= manifest.memory
