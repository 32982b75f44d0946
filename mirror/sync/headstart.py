"""What copies begin with, begun while the record is still being written and asked.

A change that is known has its manifest to be read whatever the record says of its blobs, and needs
connections to the target. For the first ones nothing need wait for the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from mirror.registry import Manifest, Repository
from mirror.sync.image_rules import ImageRules, kept, unwanted
from mirror.sync.underway import UnderWay

MOST = 64
"""Manifests of tags that are read ahead: as many as are copied at once."""


class HeadStart(UnderWay):
    """Manifests of the source, and connections, for the copies that follow."""

    def __init__(self, source: Repository, rules: ImageRules) -> None:
        super().__init__()
        self._source = source
        self._rules = rules
        self._manifests: dict[str, asyncio.Task[Manifest]] = {}

    def expect(self, digest: str) -> None:
        """A new tag points there: read it already, unless the registry counts what is read."""
        if self._source.registry.quota is None and len(self._manifests) < MOST:
            self.read([digest])

    def read(self, digests: Iterable[str]) -> None:
        """Read manifests of the source, and those of their children that are wanted."""
        for digest in digests:
            if digest not in self._manifests:
                self._manifests[digest] = self._begin(self._read(digest))

    def connect(self, repository: Repository, count: int) -> None:
        """Have connections to a repository's registry open."""
        self._begin(repository.registry.connect(count))

    async def take(self, digest: str) -> Manifest:
        """A manifest of the source, read ahead or now. Raises RegistryError."""
        task = self._manifests.pop(digest, None)
        return await (task or self._source.get_manifest(digest))

    async def _read(self, digest: str) -> Manifest:
        manifest = await self._source.get_manifest(digest)
        if manifest.is_index:
            wanted = kept(manifest.children, unwanted(manifest, self._rules))
            self.read(child.digest for child in wanted)
        return manifest
