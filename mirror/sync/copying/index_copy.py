"""The manifests that an index lists: each at the target by digest, or left out for a reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mirror.concurrency import SingleFlight, gather_all
from mirror.outcome import Dropped
from mirror.registry import (
    Descriptor,
    DigestMismatch,
    Manifest,
    NotFound,
    RefusedMediaType,
    Repository,
)
from mirror.sync.copying.blob_placement import CopyStats, Placement
from mirror.sync.copying.referrers import PutTree
from mirror.sync.tags import (
    ImageRules,
    Rebuild,
    is_attestation,
    is_image_config,
    kept,
    left_out,
    rebuild,
    refused,
    unwanted,
)

ReadManifest = Callable[[str], Awaitable[Manifest]]


@dataclass(frozen=True)
class _Child:
    """A manifest that is at the target by digest, or the reason why it is not."""

    size: int  # of the manifest as the source has it
    manifest: Manifest | None  # only where it was rebuilt
    blobs: int
    dropped: tuple[Dropped, ...]


class IndexCopier:
    """Copies what the indexes of one source repository list, for one run."""

    def __init__(
        self,
        source: Repository,
        target: Repository,
        read: ReadManifest,
        put_tree: PutTree,
        images: ImageRules,
    ) -> None:
        """`read` gives a manifest of the source by digest; `put_tree` puts it by digest with all
        that it names and what refers to it."""
        self._source = source
        self._target = target
        self._read = read
        self._put_tree = put_tree
        self._images = images
        self._children: SingleFlight[str, _Child] = SingleFlight()
        self.left_out: set[str] = set()
        """Digests that no index brings: as referrers of what they attest they stay away too."""

    async def place(self, index: Manifest, stats: CopyStats) -> Manifest:
        """Bring what an index lists to the target; the index as it may be put there.

        Raises RegistryError: NotFound where none of its images is for a platform that is wanted.
        """
        dropped = {drop.digest: drop for drop in unwanted(index, self._images)}
        self.left_out.update(dropped)
        children = kept(index.children, tuple(dropped.values()))
        results = await gather_all(self._place_child(child, stats) for child in children)
        replaced = {}
        for child, result in zip(children, results, strict=True):
            for drop in result.dropped:
                if drop.digest == child.digest:
                    dropped[drop.digest] = drop
                stats.dropped[drop.digest] = drop
            if result.manifest is not None:
                replaced[child.digest] = result.manifest
        stats.dropped.update(dropped)
        if self._images.platforms and index.children and not kept(index.children, dropped.values()):
            raise _NothingLeft(
                f"{self._source}@{index.digest}: no image for any of the platforms"
                f" {', '.join(self._images.platforms)}: name another platform or exclude the tag"
            )
        return rebuild(index, Rebuild(frozenset(dropped), replaced))

    async def _place_child(self, child: Descriptor, stats: CopyStats) -> _Child:
        result, mine = await self._children.do(child.digest, lambda: self._child(child, stats))
        if result.size != child.size:
            raise DigestMismatch(
                f"{self._source}@{child.digest} has {result.size} bytes where its index says"
                f" {child.size}: the image is broken at the source"
            )
        if not mine:
            stats.tally[Placement.REUSED] += result.blobs
        return result

    async def _child(self, child: Descriptor, stats: CopyStats) -> _Child:
        source = await self._read(child.digest)
        may_go = is_attestation(child) or source.subject is not None
        if may_go and self._known_refused(child, source):
            return _Child(len(source.raw), None, 0, (refused(child),))
        own = CopyStats()
        try:
            placed = await self._put_tree(source, own)
        except RefusedMediaType:
            if not may_go:
                raise
            self._learn_refused(child, source)
            return _Child(len(source.raw), None, 0, (refused(child),))
        except _NothingLeft:
            # Of an index in an index none of the platforms is wanted: neither is it.
            return _Child(len(source.raw), None, 0, (left_out(child),))
        finally:
            stats.add(own)
        return _Child(
            len(source.raw),
            placed.manifest if placed.manifest.digest != source.digest else None,
            sum(own.tally.values()),
            tuple(own.dropped.values()),
        )

    def refuses_artifact(self, manifest: Manifest) -> bool:
        """True for an artifact, once the target refused one: not tried again for every tag."""
        return self._target.registry.capabilities.artifacts is False and _is_artifact(manifest)

    def _known_refused(self, child: Descriptor, manifest: Manifest) -> bool:
        attestations = self._target.registry.capabilities.attestations
        return self.refuses_artifact(manifest) or (attestations is False and is_attestation(child))

    def _learn_refused(self, child: Descriptor, manifest: Manifest) -> None:
        if _is_artifact(manifest):
            self._target.registry.capabilities.artifacts = False
        elif is_attestation(child):
            self._target.registry.capabilities.attestations = False

    def forget(self) -> None:
        """Bring everything once more: the record of the target proved wrong."""
        self._children.clear()


class _NothingLeft(NotFound):
    """The platforms that are wanted leave nothing of an index."""


def _is_artifact(manifest: Manifest) -> bool:
    """True for a manifest whose config is no image's."""
    config = manifest.config
    return not manifest.is_index and not (config and is_image_config(config.media_type))
