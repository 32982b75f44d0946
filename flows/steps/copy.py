"""Copying one tag: blobs, then child manifests by digest, then what refers to them, then the tag.

Nothing becomes visible half-done: a manifest is put only when all that it names is there, and the
tag last of all (distribution-spec 1.1, "Pushing manifests").
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

from flows.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    Dropped,
    DropReason,
    PlacedBlob,
    Reason,
    TagFailure,
    utcnow,
)
from flows.registry import (
    Descriptor,
    Manifest,
    ManifestBlobUnknown,
    RefusedMediaType,
    RegistryError,
    Repository,
    is_foreign_layer,
)
from flows.steps.blobs import BlobPlacer, Placement
from flows.steps.filtering import (
    ImageRules,
    Rebuild,
    is_attestation,
    is_image_config,
    kept,
    rebuild,
    refused,
    unwanted,
)
from flows.steps.flight import SingleFlight
from flows.steps.ledger import Ledger
from flows.steps.referrers import ReferrerCopier
from flows.steps.tags import TagRules

T = TypeVar("T")


@dataclass(frozen=True)
class _Child:
    """A manifest that is at the target by digest, or the reason why it is not."""

    manifest: Manifest | None  # only where it was rebuilt
    blobs: int
    dropped: tuple[Dropped, ...]


class Copier:
    """Copies tags of one source repository to one target repository, for one run."""

    def __init__(
        self,
        source: Repository,
        target: Repository,
        placer: BlobPlacer,
        *,
        images: ImageRules,
        tags: TagRules,
        referrers: bool = True,
        companions: Collection[str] = (),
    ) -> None:
        """`companions`: sha256-… tags at the source that do not come over by themselves."""
        self._source = source
        self._target = target
        self._placer = placer
        self._images = images
        self._tags = tags
        self._manifests: SingleFlight[str, Manifest] = SingleFlight()
        self._children: SingleFlight[str, _Child] = SingleFlight()
        self._referrers = (
            ReferrerCopier(source, target, self._put_tree, companions) if referrers else None
        )

    async def copy(self, change: Change) -> CopyOutcome:
        """Copy one tag. Failures of a registry are in the outcome; nothing is raised for them."""
        started, ledger = utcnow(), Ledger()
        digest: str | None = None
        failure: TagFailure | None = None
        try:
            try:
                digest = await self._copy(change, ledger)
            except ManifestBlobUnknown:
                # The record says that the target holds what it does not: ask it about every blob.
                self._distrust(change)
                digest = await self._copy(change, ledger)
        except RegistryError as error:
            failure = TagFailure(change.tag, Reason(error.reason), str(error))
        return CopyOutcome(
            change=change,
            started_at=started,
            ended_at=utcnow(),
            target_digest=digest,
            blobs=ledger.blobs,
            bytes_copied=ledger.bytes_copied,
            placed=tuple(ledger.placed),
            lost=tuple(sorted(self._placer.lost)),
            dropped=tuple(ledger.dropped.values()),
            referrers=ledger.referrers,
            failure=failure,
        )

    async def _copy(self, change: Change, ledger: Ledger) -> str:
        manifest = await self._manifest(change.digest)
        manifest = await self._place_below(manifest, ledger)
        if self._referrers:
            ledger.referrers += await self._referrers.copy(change.digest, ledger)
        await self._back_up(change)
        await self._target.put_manifest(change.target_tag, manifest)
        return manifest.digest

    async def _manifest(self, digest: str) -> Manifest:
        manifest, _ = await self._manifests.do(digest, lambda: self._source.get_manifest(digest))
        return manifest

    async def _place_below(self, manifest: Manifest, ledger: Ledger) -> Manifest:
        """Bring all that the manifest names to the target; the manifest as it may be put there."""
        if manifest.is_index:
            return await self._place_children(manifest, ledger)
        await self._place_blobs(manifest, ledger)
        return manifest

    async def _place_blobs(self, manifest: Manifest, ledger: Ledger) -> None:
        blobs = []
        for blob in manifest.blobs:
            if is_foreign_layer(blob.media_type):
                # Never fetched from its urls, never uploaded (image-spec 1.1, "Non-Distributable
                # Layers"): the manifest stays as it is and names it still.
                ledger.dropped[blob.digest] = Dropped(
                    blob.digest, blob.media_type, DropReason.NON_DISTRIBUTABLE
                )
            else:
                blobs.append(blob)
        await self._placer.prepare(blobs)
        blobs.sort(key=lambda blob: blob.size, reverse=True)  # the largest first: a short tail
        await _all(self._place_blob(blob, ledger) for blob in blobs)

    async def _place_blob(self, blob: Descriptor, ledger: Ledger) -> None:
        placement = await self._placer.place(blob)
        ledger.tally[placement] += 1
        if placement is Placement.COPIED:
            ledger.bytes_copied += blob.size
        ledger.placed.append(PlacedBlob(blob.digest, blob.size))

    async def _place_children(self, index: Manifest, ledger: Ledger) -> Manifest:
        dropped = {drop.digest: drop for drop in unwanted(index, self._images)}
        children = kept(index.children, tuple(dropped.values()))
        results = await _all(self._place_child(child, ledger) for child in children)
        replaced = {}
        for child, result in zip(children, results, strict=True):
            for drop in result.dropped:
                if drop.reason is DropReason.ATTESTATION_REFUSED and drop.digest == child.digest:
                    dropped[drop.digest] = drop
                ledger.dropped[drop.digest] = drop
            if result.manifest is not None:
                replaced[child.digest] = result.manifest
        ledger.dropped.update(dropped)
        return rebuild(index, Rebuild(frozenset(dropped), replaced))

    async def _place_child(self, child: Descriptor, ledger: Ledger) -> _Child:
        result, mine = await self._children.do(child.digest, lambda: self._child(child, ledger))
        if not mine:
            ledger.tally[Placement.REUSED] += result.blobs
        return result

    async def _child(self, child: Descriptor, ledger: Ledger) -> _Child:
        source = await self._source.get_manifest(child.digest)
        artifact = not source.is_index and not _runs(source)
        if artifact and is_attestation(child) and self._refuses_artifacts:
            return _Child(None, 0, (refused(child),))
        own = Ledger()
        try:
            manifest = await self._put_tree(source, own)
        except RefusedMediaType:
            if not (artifact and is_attestation(child)):
                raise
            self._target.registry.abilities.artifacts = False  # not tried again for every tag
            return _Child(None, 0, (refused(child),))
        finally:
            ledger.add(own)
        return _Child(
            manifest if manifest.digest != source.digest else None,
            sum(own.tally.values()),
            tuple(own.dropped.values()),
        )

    @property
    def _refuses_artifacts(self) -> bool:
        """True once the target refused a manifest whose config is no image config."""
        return self._target.registry.abilities.artifacts is False

    async def _put_tree(self, manifest: Manifest, ledger: Ledger) -> Manifest:
        """Put a manifest by digest, all that it names before it and its referrers with it."""
        placed = await self._place_below(manifest, ledger)
        await self._target.put_manifest(placed.digest, placed)
        if self._referrers:
            ledger.referrers += await self._referrers.copy(manifest.digest, ledger)
        return placed

    async def _back_up(self, change: Change) -> None:
        previous = change.previous_digest
        if previous is None or change.kind not in (ChangeKind.MOVED, ChangeKind.DRIFTED):
            return
        name = self._tags.backup_name(change.target_tag, previous, utcnow())
        if name and await self._target.head_manifest(previous):
            await self._target.put_manifest(name, await self._target.get_manifest(previous))

    def _distrust(self, change: Change) -> None:
        self._placer.distrust()
        self._children.clear()
        self._manifests.forget(change.digest)


def _runs(manifest: Manifest) -> bool:
    return manifest.config is not None and is_image_config(manifest.config.media_type)


async def _all(work: Iterable[Awaitable[T]]) -> list[T]:
    """All values in order; if any failed, its error, but only when the others have ended too.

    What the others brought over is then in the ledger, and a later run need not do it again.
    """
    results = await asyncio.gather(*work, return_exceptions=True)
    values: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        values.append(result)
    return values
