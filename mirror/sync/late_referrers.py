"""Signatures and SBOMs that were attached to an image after it was mirrored.

The image does not move by them, so its tags alone do not tell. Asked only where the source is known
to have the referrers API; what it has by tags (the fallback tag, cosign's) is seen in its list of
tags like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from mirror.registry import Descriptor, NotFound, Repository
from mirror.sync.single_flight import SingleFlight

# A signature of one platform of an image is looked for in the newest ones alone: each costs a
# request to the target and one to the source for each platform.
_WITH_CHILDREN = 1000

Dropped = Callable[[], Awaitable[frozenset[str]]]


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
        found = await asyncio.gather(
            *(self._image(image, number < _WITH_CHILDREN) for number, image in enumerate(distinct))
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
            return False  # the comparison of tags tells of that
        children = {child.digest for child in manifest.children}
        return any(await asyncio.gather(*(self._manifest(child) for child in sorted(children))))

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
