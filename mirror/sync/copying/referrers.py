"""What refers to a manifest travels with it: signatures, SBOMs, provenance.

By the referrers API and by the referrers tag schema (distribution-spec 1.1, "Listing Referrers"),
and by cosign's tags `sha256-<hex>.sig`, `.att` and `.sbom`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mirror.concurrency import SingleFlight, gather_all
from mirror.outcome import Dropped, DropReason
from mirror.registry import (
    EMPTY_INDEX,
    Descriptor,
    Manifest,
    NotFound,
    RefusedMediaType,
    Repository,
    rewrite_index,
)
from mirror.sync.copying.blob_placement import CopyStats
from mirror.sync.tags import companion_prefix, subject_of


@dataclass(frozen=True)
class Placed:
    """A manifest that was put at the target, and whether the target keeps its subject's list."""

    manifest: Manifest
    acknowledged: bool


@dataclass(frozen=True)
class _Arrived:
    """What was copied with one subject."""

    count: int
    dropped: tuple[Dropped, ...]


PutTree = Callable[[Manifest, CopyStats], Awaitable[Placed]]


class ReferrerCopier:
    """Copies the referrers of manifests from one repository to another, for one run."""

    def __init__(
        self,
        source: Repository,
        target: Repository,
        put_tree: PutTree,
        companions: Collection[str] = (),
        *,
        refuses: Callable[[Manifest], bool] = lambda _: False,
        left_out: Collection[str] = (),
    ) -> None:
        """`put_tree` puts a manifest by digest with all that it names and its own referrers.

        `companions`: sha256-… tags at the source that no tag policy copies by itself.
        `refuses` is True for a manifest of a kind that the target is known to refuse. `left_out`
        are digests that must not reach the target; it may grow.
        """
        self._source = source
        self._target = target
        self._put_tree = put_tree
        self._refuses = refuses
        self._left_out = left_out
        self._companions: dict[str, list[str]] = {}
        for name in sorted(companions):
            self._companions.setdefault(name.partition(".")[0], []).append(name)
        self._flight: SingleFlight[str, _Arrived] = SingleFlight()
        self._lists: SingleFlight[str, list[Descriptor]] = SingleFlight()
        self._first = asyncio.Lock()
        self._listed: dict[str, tuple[Descriptor, ...]] = {}  # by fallback tag, in this run

    async def look(self, digest: str) -> list[Descriptor]:
        """What refers to a manifest by the source's API, asked once a run. Raises RegistryError."""
        listed, _ = await self._lists.do(digest, lambda: self._look(digest))
        return listed

    async def _look(self, digest: str) -> list[Descriptor]:
        abilities = self._source.registry.capabilities
        if abilities.referrers is None:
            async with self._first:  # one request finds out for all whether there is such an API
                if abilities.referrers is None:
                    return await self._source.referrers(digest, fallback=False)
        return await self._source.referrers(digest, fallback=False)

    async def copy(self, digest: str, stats: CopyStats) -> int:
        """Copy what refers to the source's manifest `digest` to the target; how many there are.

        Raises RegistryError, and CircularWork where tags refer to each other.
        """
        own = CopyStats()
        try:
            arrived, mine = await self._flight.do(digest, lambda: self._copy(digest, own))
        finally:
            stats.add(own)
        if not mine:  # what was left out is reported for every tag that shares it
            stats.dropped.update({drop.digest: drop for drop in arrived.dropped})
        return arrived.count

    async def joined(self, tag: str, manifest: Manifest, stats: CopyStats) -> Manifest:
        """A fallback index of the source, as it has to be at the target.

        Where the source has the referrers API too, the list that it gives may be longer than its
        index; at a target without the API the tag must hold both. Raises as `copy`, which it
        waits for, so that the tag is written with the whole list and once.
        """
        subject = subject_of(tag)
        if subject is None or companion_prefix(subject) != tag or not manifest.is_index:
            return manifest
        await self.copy(subject, stats)
        return rewrite_index(manifest, added=self._listed.get(tag, ()))

    async def _copy(self, digest: str, stats: CopyStats) -> _Arrived:
        fallback = companion_prefix(digest)
        index: Manifest | None = None
        count = 0
        for tag in self._companions.get(fallback, ()):
            placed = await self._placed_tag(tag, stats)
            if placed is None:
                continue
            count += 1
            if tag == fallback and placed.is_index:
                index = placed
            else:
                await self._target.put_manifest(tag, placed)
        listed = [one for one in await self.look(digest) if one.digest not in self._left_out]
        # Each in a separate task: a long chain of signatures does not pile up on one stack.
        brought = await gather_all(
            self._copy_one(digest, descriptor, stats) for descriptor in listed
        )
        count += sum(one is not None for one in brought)
        unlisted = [
            descriptor
            for descriptor, acknowledged in zip(listed, brought, strict=True)
            if acknowledged is False
        ]
        if index or unlisted:
            await self._write_fallback(fallback, index, unlisted)
        return _Arrived(count, tuple(stats.dropped.values()))

    async def _copy_one(
        self, subject: str, descriptor: Descriptor, stats: CopyStats
    ) -> bool | None:
        """Whether the target lists the referrer by itself; None when there is none to list."""
        try:
            manifest = await self._source.get_manifest(descriptor.digest)
        except NotFound:  # listed, yet deleted since
            return None
        if manifest.subject is None or manifest.subject.digest != subject:
            return None  # the list is wrong: what does not name the subject does not refer to it
        placed = await self._put(manifest, stats)
        if placed is not None and placed.acknowledged:
            self._target.registry.capabilities.referrers = True
        return placed.acknowledged if placed else None

    async def _placed_tag(self, tag: str, stats: CopyStats) -> Manifest | None:
        try:
            manifest = await self._source.get_manifest(tag)
        except NotFound:  # listed, yet deleted since
            return None
        placed = await self._put(manifest, stats)
        return placed.manifest if placed else None

    async def _put(self, manifest: Manifest, stats: CopyStats) -> Placed | None:
        """Put a referrer; None, and recorded in the stats, when the target refuses it."""
        try:
            if not self._refuses(manifest):
                return await self._put_tree(manifest, stats)
        except RefusedMediaType:
            pass
        stats.dropped[manifest.digest] = _refused(manifest.digest, manifest)
        return None

    async def _write_fallback(
        self, tag: str, index: Manifest | None, unlisted: Sequence[Descriptor]
    ) -> None:
        """Keep the index under the subject's tag, as the client's duty is where the registry does
        not answer OCI-Subject ("Pushing Manifests with Subject").

        `index` is the source's own, None where it has none: what the target has is added to then.
        """
        self._listed[tag] = tuple(unlisted)
        present: Manifest | None = None
        if unlisted:
            with suppress(NotFound):
                present = await self._target.get_manifest(tag)
        written = rewrite_index(index or present or EMPTY_INDEX, added=unlisted)
        if present is None or written.digest != present.digest:
            await self._target.put_manifest(tag, written)


def _refused(digest: str, manifest: Manifest) -> Dropped:
    return Dropped(digest, manifest.media_type, DropReason.REFERRER_REFUSED)
