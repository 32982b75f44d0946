"""Copying one tag: blobs, then child manifests by digest, then what refers to them, then the tag.

Nothing becomes visible half-done: a manifest is put only when all that it names is there, and the
tag last of all (distribution-spec 1.1, "Pushing manifests").
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass

from mirror.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    Discovery,
    Dropped,
    DropReason,
    KnownTag,
    PlacedBlob,
    Reason,
    TagFailure,
    utcnow,
)
from mirror.registry import (
    Descriptor,
    DigestMismatch,
    Manifest,
    ManifestBlobUnknown,
    NotFound,
    PutResult,
    RefusedMediaType,
    RegistryError,
    Repository,
    is_foreign_layer,
)
from mirror.sync.bandwidth import bandwidth_limiter_of
from mirror.sync.blob_placement import BlobPlacer, CopyStats, Placement
from mirror.sync.concurrency import CircularWork, SingleFlight, gather_all, gather_both
from mirror.sync.context import SyncContext
from mirror.sync.image_rules import (
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
from mirror.sync.referrers import Placed, ReferrerCopier
from mirror.sync.tag_rules import TagRules
from mirror.sync.visibility import until_visible

ReadManifest = Callable[[str], Awaitable[Manifest]]
_REMEMBERED = 1000
"""Manifests that were put and are kept for their verification, which soon follows."""


async def _no_lock() -> None:
    """Nothing else writes to the target."""


@dataclass(frozen=True)
class _Child:
    """A manifest that is at the target by digest, or the reason why it is not."""

    size: int  # of the manifest as the source has it
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
        self._images = images
        self._tags = tags
        self._manifests: SingleFlight[str, Manifest] = SingleFlight()
        self._children: SingleFlight[str, _Child] = SingleFlight()
        # Attestations may be listed as referrers of what they attest: left out is left out.
        self._left_out: set[str] = set()
        self.put: dict[str, Manifest] = {}
        """What this run put at the target last, by digest."""
        self.sure = placer.sure
        """Blobs that this run uploaded or read at the target."""
        self._referrers = (
            ReferrerCopier(
                source,
                target,
                self._put_tree,
                companions,
                refuses=self._refuses_artifact,
                left_out=self._left_out,
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
                digest = await self._copy(change, stats)
            except ManifestBlobUnknown:
                # The record says that the target holds what it does not: ask it about every blob.
                self._distrust(change)
                digest = await self._copy(change, stats)
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
        self.put[manifest.digest] = manifest
        if len(self.put) > _REMEMBERED:
            del self.put[next(iter(self.put))]
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
        manifest, _ = await self._manifests.do(digest, lambda: self._read(digest))
        return manifest

    async def _place_all(self, manifest: Manifest, stats: CopyStats) -> Manifest:
        """As _place_below; meanwhile the source is asked what refers to the manifest."""
        below = self._place_below(manifest, stats)
        if self._referrers is None:
            return await below
        return await gather_both(below, self._referrers.look(manifest.digest))

    async def _place_below(self, manifest: Manifest, stats: CopyStats) -> Manifest:
        """Bring all that the manifest names to the target; the manifest as it may be put there."""
        if manifest.is_index:
            return await self._place_children(manifest, stats)
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

    async def _place_children(self, index: Manifest, stats: CopyStats) -> Manifest:
        dropped = {drop.digest: drop for drop in unwanted(index, self._images)}
        self._left_out.update(dropped)
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
                f"{self._at_source(index.digest)}: no image for any of the platforms"
                f" {', '.join(self._images.platforms)}: name another platform or exclude the tag"
            )
        return rebuild(index, Rebuild(frozenset(dropped), replaced))

    async def _place_child(self, child: Descriptor, stats: CopyStats) -> _Child:
        result, mine = await self._children.do(child.digest, lambda: self._child(child, stats))
        if result.size != child.size:
            raise DigestMismatch(
                f"{self._at_source(child.digest)} has {result.size} bytes where its index says"
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

    def _refuses_artifact(self, manifest: Manifest) -> bool:
        """True for an artifact, once the target refused one: not tried again for every tag."""
        return self._target.registry.capabilities.artifacts is False and _is_artifact(manifest)

    def _known_refused(self, child: Descriptor, manifest: Manifest) -> bool:
        attestations = self._target.registry.capabilities.attestations
        return self._refuses_artifact(manifest) or (attestations is False and is_attestation(child))

    def _learn_refused(self, child: Descriptor, manifest: Manifest) -> None:
        if _is_artifact(manifest):
            self._target.registry.capabilities.artifacts = False
        elif is_attestation(child):
            self._target.registry.capabilities.attestations = False

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
        self._children.clear()
        self._manifests.forget(change.digest)


class _NothingLeft(NotFound):
    """The platforms that are wanted leave nothing of an index."""


def _is_artifact(manifest: Manifest) -> bool:
    """True for a manifest whose config is no image's."""
    config = manifest.config
    return not manifest.is_index and not (config and is_image_config(config.media_type))


async def build_copier(
    context: SyncContext,
    discovery: Discovery,
    known: Mapping[str, KnownTag],
    *,
    look_first: bool,
) -> Copier:
    """The copier of a run, with what the history knows of the target.

    `look_first`: ask the target about every blob, since a run before this one was killed.
    """
    recorder, clients = context.recorder, context.clients
    registry, _ = context.target
    # One after the other: concurrently each opens a connection, which takes longer.
    holdings = await recorder.holdings(*context.target)
    elsewhere = await recorder.holds_elsewhere(*context.target)
    seen = discovery.target or {}
    placer = BlobPlacer(
        clients.source,
        clients.target,
        holdings=holdings,
        holders=(lambda digests: recorder.holders(registry, digests)) if elsewhere else None,
        shared=context.shared_uploads,
        # An empty target has nothing worth asking for; any other may hold more than is recorded.
        look_first=look_first or bool(known) or any(seen.values()),
        expect=context.progress.expect,
        progress=context.progress.advance,
        limiter=bandwidth_limiter_of(context.mirror.rate_limit)
        if context.mirror.rate_limit
        else None,
    )
    return Copier(
        clients.source,
        clients.target,
        placer,
        images=context.images,
        tags=context.tags,
        referrers=context.mirror.referrers,
        companions=() if context.tags.admits_all else discovery.companions,
        read=context.prefetch.manifest,
        check_lock=lambda: recorder.check_lock(context.mirror.target),
    )
