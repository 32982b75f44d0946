"""What copies begin with, begun while the record is still being written and asked.

A change that is known has its manifest to be read whatever the record says of its blobs, and needs
connections to the target. For the first ones nothing need wait for the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, Self

from flows.registry import Descriptor, Manifest, Repository
from flows.steps.filtering import ImageRules, kept, unwanted

MOST = 64
"""Manifests of tags that are read ahead: as many as are copied at once."""
_NEWS = 16
"""New tags that are read before it is known whether the pull quota reaches for them."""


class HeadStart:
    """An async context manager: the requests are on their way within it, and given up at its end.

    What goes wrong with a manifest is raised where it is taken.
    """

    def __init__(self, source: Repository, rules: ImageRules) -> None:
        self._source = source
        self._rules = rules
        self._manifests: dict[str, asyncio.Task[Manifest]] = {}
        self._all: set[asyncio.Task[Any]] = set()
        self._news = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._all:
            task.cancel()
        await asyncio.gather(*self._all, return_exceptions=True)

    def has_room(self) -> bool:
        """True if one more new tag may be read; each may be asked for once."""
        self._news += 1
        return self._news <= _NEWS

    async def read_tag(self, tag: str) -> Descriptor:
        """Read a tag of the source that is new; its manifest is kept for the copy.

        Raises RegistryError.
        """
        manifest = await self._source.get_manifest(tag)
        if manifest.digest not in self._manifests:
            self._manifests[manifest.digest] = self._begin(self._below(manifest))
        return manifest.descriptor

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
        return await self._below(await self._source.get_manifest(digest))

    async def _below(self, manifest: Manifest) -> Manifest:
        if manifest.is_index:
            wanted = kept(manifest.children, unwanted(manifest, self._rules))
            self.read(child.digest for child in wanted)
        return manifest

    def _begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._all.add(task)
        task.add_done_callback(self._all.discard)
        return task
