"""Signatures and SBOMs that were attached to an image after it was mirrored.

They do not move the image, so its tags alone do not show them. Requested only by a full sync where
the source is known to have the referrers API; what it has by tags (the fallback tag, cosign's) is
in its list of tags like any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mirror.concurrency import SingleFlight, gather_all
from mirror.outcome import ChangeKind, Discovery, KnownTag
from mirror.registry import Descriptor, NotFound, RegistryError, Repository
from mirror.sync.context import SyncContext
from mirror.sync.tags import companion_prefix

# A signature of one platform of an image is looked for in the newest ones alone: each costs a
# request to the target and one to the source for each platform.
_WITH_CHILDREN = 1000

Dropped = Callable[[], Awaitable[frozenset[str]]]


async def mark_late_referrers(
    context: SyncContext, discovery: Discovery, known: Mapping[str, KnownTag]
) -> tuple[dict[str, KnownTag], list[str]]:
    """Mark the tags that did not move and whose image has a referrer that the target lacks.

    Returns the known tags, marked, and warnings: a registry that fails is one, since every tag can
    be compared all the same.
    """
    marked = dict(known)
    capabilities = context.clients.source.registry.capabilities
    if capabilities.referrers is False:
        return marked, []
    remembered = await context.recorder.abilities(*context.source)
    if not remembered.get("referrers"):
        return marked, []
    capabilities.referrers = True
    images = {tag.name: image for tag in _unmoved(discovery, known) if (image := _mirrored(tag))}
    late = LateReferrers(context.clients.source, context.clients.target, _dropped(context))
    try:
        behind = await late.behind(list(images.values()))
    except RegistryError as error:
        return marked, [f"signatures and SBOMs were not compared: {error}"]
    for repository in (context.clients.source, context.clients.target):
        # A list that could not be read is not an empty one.
        if refusal := repository.registry.capabilities.refusals.get("referrers"):
            return marked, [f"signatures and SBOMs were not compared: {refusal.reason}"]
    for name, image in images.items():
        if image.source_digest in behind:
            # With its fallback tag, which grows by the referrer where the target has no list.
            for suspect in (name, companion_prefix(image.source_digest)):
                if suspect in marked:
                    marked[suspect] = replace(marked[suspect], suspect=ChangeKind.REFERRERS)
    return marked, []


def _unmoved(discovery: Discovery, known: Mapping[str, KnownTag]) -> list[KnownTag]:
    """Tags that are where they were last copied from, newest first."""
    found = [
        state
        for tag in discovery.tags
        if (state := known.get(tag.name))
        and state.copied_digest == tag.digest
        and state.suspect is None
    ]
    return sorted(found, key=_moved_at, reverse=True)


def _moved_at(tag: KnownTag) -> float:
    moment = tag.pushed_at or tag.detected_at
    return moment.timestamp() if moment else 0.0


def _mirrored(tag: KnownTag) -> Mirrored | None:
    if tag.copied_digest is None or tag.target_digest is None:
        return None
    return Mirrored(tag.copied_digest, tag.target_digest)


def _dropped(context: SyncContext) -> Dropped:
    """What was left out at the target before, read once a run and only if it is needed."""
    found: list[frozenset[str]] = []

    async def dropped() -> frozenset[str]:
        if not found:
            found.append(await context.recorder.dropped_digests(context.mirror.name))
        return found[0]

    return dropped


@dataclass(frozen=True)
class Mirrored:
    """A manifest as the source names it and as the target has it: another where it was filtered."""

    source_digest: str
    target_digest: str


class LateReferrers:
    """Compares the referrers of mirrored images on both sides, for one run."""

    def __init__(self, source: Repository, target: Repository, dropped: Dropped) -> None:
        """`dropped` gives the digests of what was left out at the target before."""
        self._source = source
        self._target = target
        self._dropped = dropped
        self._seen: SingleFlight[str, bool] = SingleFlight()

    async def behind(self, images: Sequence[Mirrored]) -> frozenset[str]:
        """The source digests of images, newest first, of which the target lacks a referrer.

        Raises RegistryError.
        """
        distinct = list(dict.fromkeys(images))
        found = await gather_all(
            (self._image(image, number < _WITH_CHILDREN) for number, image in enumerate(distinct)),
            go_on=False,
        )
        return frozenset(
            image.source_digest for image, behind in zip(distinct, found, strict=True) if behind
        )

    async def _image(self, image: Mirrored, with_children: bool) -> bool:
        if await self._manifest(image.source_digest):
            return True
        if not with_children:
            return False
        try:
            manifest = await self._target.get_manifest(image.target_digest)
        except NotFound:
            return False  # the comparison of tags reports that
        children = {child.digest for child in manifest.children}
        return any(
            await gather_all((self._manifest(child) for child in sorted(children)), go_on=False)
        )

    async def _manifest(self, digest: str) -> bool:
        """True if the manifest, or what refers to it, has a referrer that the target lacks."""
        behind, _ = await self._seen.do(digest, lambda: self._compare(digest, frozenset()))
        return behind

    async def _compare(self, digest: str, above: frozenset[str]) -> bool:
        listed = await self._source.referrers(digest, fallback=False)
        if not listed:
            return False
        held = {one.digest for one in await self._target.referrers(digest)}
        dropped = frozenset[str]()
        if missing := [one for one in listed if one.digest not in held]:
            dropped = await self._dropped()
            for one in missing:
                if one.digest not in dropped and await self._refers(one, digest):
                    return True
        trail = above | {digest}
        return any(
            [
                await self._compare(one.digest, trail)
                for one in listed
                if one.digest in held and one.digest not in trail
            ]
        )

    async def _refers(self, referrer: Descriptor, digest: str) -> bool:
        """True if the manifest is there and names the subject: lists can be wrong."""
        try:
            manifest = await self._source.get_manifest(referrer.digest)
        except NotFound:
            return False
        return manifest.subject is not None and manifest.subject.digest == digest
