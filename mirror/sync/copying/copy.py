"""Copying one tag: blobs, then child manifests by digest, then what refers to them, then the tag.

Nothing becomes visible half-done: a manifest is put only when all that it names is there, and the
tag last of all (distribution-spec 1.1, "Pushing manifests").
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from mirror.concurrency import CircularWork, SingleFlight, gather_all, gather_both
from mirror.outcome import (
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
from mirror.registry import (
    Descriptor,
    Manifest,
    ManifestBlobUnknown,
    PutResult,
    RegistryError,
    Repository,
    is_foreign_layer,
)
from mirror.sync.copying.blob_placement import BlobPlacer, CopyStats, Placement
from mirror.sync.copying.index_copy import IndexCopier, ReadManifest
from mirror.sync.copying.kept_manifests import KeptManifests
from mirror.sync.copying.referrers import Placed, ReferrerCopier
from mirror.sync.copying.tag_budget import TagBudget
from mirror.sync.copying.visibility import until_visible
from mirror.sync.tags import ImageRules, TagRules


async def _no_lock() -> None:
    """Nothing else writes to the target."""


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
        read: ReadManifest | None = None,
        check_lock: Callable[[], Awaitable[None]] = _no_lock,
    ) -> None:
        """`companions`: sha256-… tags at the source that no tag policy copies by itself. `read`
        gives a manifest of the source by digest, where it is prefetched. `check_lock` raises if
        this run may not write tags any more."""
        self._source = source
        self._target = target
        self._placer = placer
        self._read = read or source.get_manifest
        self._check_lock = check_lock
        self._tags = tags
        self._budget = TagBudget(source.registry.budget.limits.tag_descriptors)
        self._manifests: SingleFlight[str, Manifest] = SingleFlight()
        self._indexes = IndexCopier(source, target, self._read, self._put_tree, images)
        self._kept = KeptManifests()
        self.put = KeptManifests()
        """What this run put at the target last, by digest."""
        self.sure = placer.sure
        """Blobs that this run uploaded or read at the target."""
        self._referrers = (
            ReferrerCopier(
                source,
                target,
                self._put_tree,
                companions,
                refuses=self._indexes.refuses_artifact,
                left_out=self._indexes.left_out,
            )
            if referrers
            else None
        )

    async def copy(self, change: Change) -> CopyOutcome:
        """Copy one tag. Failures of a registry are in the outcome; nothing is raised for them."""
        started, stats = utcnow(), CopyStats()
        digest: str | None = None
        failure: TagFailure | None = None
        try:
            try:
                digest = await self._copy_once(change, stats)
            except ManifestBlobUnknown:
                # The record says that the target holds what it does not: ask it about every blob.
                self._distrust(change)
                digest = await self._copy_once(change, stats)
        except RegistryError as error:
            failure = TagFailure(change.tag, Reason(error.reason), str(error))
        except CircularWork:
            message = (
                f"{self._at_source(change.digest)}: circular referrers: check the sha256-… tags and"
                " referrers of the source"
            )
            failure = TagFailure(change.tag, Reason.SERVER_ERROR, message)
        return CopyOutcome(
            change=change,
            started_at=started,
            ended_at=utcnow(),
            target_digest=digest,
            blobs=stats.blobs,
            bytes_copied=stats.bytes_copied,
            placed=tuple(stats.placed),
            lost=tuple(sorted(self._placer.lost)),
            dropped=tuple(stats.dropped.values()),
            referrers=stats.referrers,
            failure=failure,
        )

    async def _copy_once(self, change: Change, stats: CopyStats) -> str:
        with self._budget.of_one_tag():
            return await self._copy(change, stats)

    async def _copy(self, change: Change, stats: CopyStats) -> str:
        manifest = await self._manifest(change.digest)
        manifest = await self._place_all(manifest, stats)
        if self._referrers:
            count = await self._referrers.copy(change.digest, stats)
            stats.referrers += count  # not in one line: the stats may grow while that waits
            manifest = await self._referrers.joined(change.target_tag, manifest, stats)
        await self._back_up(change)
        await self._check_lock()
        await self._put(change.target_tag, manifest)
        return manifest.digest

    async def _put(self, reference: str, manifest: Manifest) -> PutResult:
        result = await until_visible(
            lambda: self._target.put_manifest(reference, manifest),
            lambda: self._just_placed(manifest),
            self._target.registry.clock.sleep,
        )
        self.put.add(manifest)
        return result

    def _just_placed(self, manifest: Manifest) -> bool:
        """True if this run put all that the manifest names: the target may not show it yet."""
        if any(child.digest not in self.put for child in manifest.children):
            return False
        return all(
            blob.digest in self._placer.confirmed or is_foreign_layer(blob.media_type)
            for blob in manifest.blobs
        )

    @property
    def warnings(self) -> list[str]:
        """What went wrong on the way and was made good."""
        return [f"fetched again, since it arrived garbled: {what}" for what in self._placer.garbled]

    async def _manifest(self, digest: str) -> Manifest:
        if (kept := self._kept.get(digest)) is not None:
            return kept
        manifest, _ = await self._manifests.do(digest, lambda: self._read(digest))
        self._manifests.forget(digest)  # other tags that point at it come soon, or not at all
        self._kept.add(manifest)
        return manifest

    async def _place_all(self, manifest: Manifest, stats: CopyStats) -> Manifest:
        """As _place_below; meanwhile the source is asked what refers to the manifest."""
        self._budget.spend(manifest, self._at_source(manifest.digest))
        below = self._place_below(manifest, stats)
        if self._referrers is None:
            return await below
        return await gather_both(below, self._referrers.look(manifest.digest))

    async def _place_below(self, manifest: Manifest, stats: CopyStats) -> Manifest:
        """Bring all that the manifest names to the target; the manifest as it may be put there."""
        if manifest.is_index:
            return await self._indexes.place(manifest, stats)
        await self._place_blobs(manifest, stats)
        return manifest

    async def _place_blobs(self, manifest: Manifest, stats: CopyStats) -> None:
        blobs = []
        for blob in manifest.blobs:
            if is_foreign_layer(blob.media_type):
                # Never fetched from its urls, never uploaded (image-spec 1.1, "Non-Distributable
                # Layers"): the manifest stays as it is and names it still.
                stats.dropped[blob.digest] = Dropped(
                    blob.digest, blob.media_type, DropReason.NON_DISTRIBUTABLE
                )
            else:
                blobs.append(blob)
        await self._placer.prepare(blobs)
        blobs.sort(key=lambda blob: blob.size, reverse=True)  # the largest first: a short tail
        await gather_all(self._place_blob(blob, stats) for blob in blobs)

    async def _place_blob(self, blob: Descriptor, stats: CopyStats) -> None:
        placement = await self._placer.place(blob)
        stats.tally[placement] += 1
        if placement is Placement.COPIED:
            stats.bytes_copied += blob.size
        stats.placed.append(PlacedBlob(blob.digest, blob.size))

    async def _put_tree(self, manifest: Manifest, stats: CopyStats) -> Placed:
        """Put a manifest by digest, all that it names before it and its referrers with it."""
        below = await self._place_all(manifest, stats)
        put = await self._put(below.digest, below)
        if self._referrers:
            count = await self._referrers.copy(manifest.digest, stats)
            stats.referrers += count
        return Placed(below, put.subject_acknowledged)

    def _at_source(self, digest: str) -> str:
        return f"{self._source}@{digest}"

    async def _back_up(self, change: Change) -> None:
        previous = change.previous_digest
        if previous is None or change.kind not in (ChangeKind.MOVED, ChangeKind.DRIFTED):
            return
        name = self._tags.backup_name(change.target_tag, previous, utcnow())
        if name and await self._target.head_manifest(previous):
            manifest = await self._target.get_manifest(previous)
            await self._check_lock()
            await self._target.put_manifest(name, manifest)

    def _distrust(self, change: Change) -> None:
        self._placer.distrust()
        self._indexes.forget()
        self._kept.forget(change.digest)
