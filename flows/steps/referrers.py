"""What refers to a manifest travels with it: signatures, SBOMs, provenance.

By the referrers API and by the referrers tag schema (distribution-spec 1.1, "Listing Referrers"),
and by cosign's tags `sha256-<hex>.sig`, `.att` and `.sbom`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from flows.outcome import Dropped, DropReason
from flows.registry import Descriptor, Manifest, NotFound, RefusedMediaType, Repository, mediatypes
from flows.steps.flight import SingleFlight
from flows.steps.ledger import Ledger
from flows.steps.tags import companion_prefix


@dataclass(frozen=True)
class Placed:
    """A manifest that was put at the target, and whether the target keeps its subject's list."""

    manifest: Manifest
    acknowledged: bool


@dataclass(frozen=True)
class _Arrived:
    """What came over with one subject."""

    count: int
    dropped: tuple[Dropped, ...]


PutTree = Callable[[Manifest, Ledger], Awaitable[Placed]]


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

        `companions`: sha256-… tags at the source that no tag policy brings over by itself.
        `refuses` tells of a manifest whether the target is known to refuse its like. `left_out`
        are digests that are not wanted at the target; it may grow.
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
        self._fallback = asyncio.Lock()

    async def copy(self, digest: str, ledger: Ledger) -> int:
        """Bring what refers to the source's manifest `digest` to the target; how many there are.

        Raises RegistryError, and CircularWork where tags refer to each other.
        """
        own = Ledger()
        try:
            arrived, mine = await self._flight.do(digest, lambda: self._copy(digest, own))
        finally:
            ledger.add(own)
        if not mine:  # what was left out is told of every tag that shares it
            ledger.dropped.update({drop.digest: drop for drop in arrived.dropped})
        return arrived.count

    async def _copy(self, digest: str, ledger: Ledger) -> _Arrived:
        # The tags first: a fallback index that comes over by its tag is then added to, not lost.
        tags = self._companions.get(companion_prefix(digest), ())
        count = 0
        for tag in tags:
            count += await self._copy_tag(tag, ledger)
        listed = [
            one
            for one in await self._source.referrers(digest, fallback=False)
            if one.digest not in self._left_out
        ]
        # Each in a task of its own: a long chain of signatures does not pile up on one stack.
        brought = await asyncio.gather(
            *(self._copy_one(digest, descriptor, ledger) for descriptor in listed),
            return_exceptions=True,
        )
        for one in brought:
            if isinstance(one, BaseException):
                raise one
            count += one
        return _Arrived(count, tuple(ledger.dropped.values()))

    async def _copy_one(self, subject: str, descriptor: Descriptor, ledger: Ledger) -> int:
        try:
            manifest = await self._source.get_manifest(descriptor.digest)
        except NotFound:  # listed, yet deleted since
            return 0
        if manifest.subject is None or manifest.subject.digest != subject:
            return 0  # the list is wrong: what does not name the subject does not refer to it
        placed = await self._put(manifest, ledger)
        if placed is None:
            return 0
        if placed.acknowledged:
            self._target.registry.abilities.referrers = True
        else:
            await self._maintain_fallback(subject, descriptor)
        return 1

    async def _copy_tag(self, tag: str, ledger: Ledger) -> int:
        try:
            manifest = await self._source.get_manifest(tag)
        except NotFound:  # listed, yet deleted since
            return 0
        placed = await self._put(manifest, ledger)
        if placed is None:
            return 0
        await self._target.put_manifest(tag, placed.manifest)
        return 1

    async def _put(self, manifest: Manifest, ledger: Ledger) -> Placed | None:
        """Put a referrer; None, and told in the ledger, when the target would not take it."""
        try:
            if not self._refuses(manifest):
                return await self._put_tree(manifest, ledger)
        except RefusedMediaType:
            pass
        ledger.dropped[manifest.digest] = _refused(manifest.digest, manifest)
        return None

    async def _maintain_fallback(self, subject: str, referrer: Descriptor) -> None:
        """Add the referrer to the index under the subject's tag, as the client's duty is where the
        registry does not answer OCI-Subject ("Pushing Manifests with Subject")."""
        tag = companion_prefix(subject)
        async with self._fallback:
            try:
                present = json.loads((await self._target.get_manifest(tag)).raw)
            except NotFound:
                present = {
                    "schemaVersion": 2,
                    "mediaType": mediatypes.OCI_INDEX,
                    "manifests": [],
                }
            entries: list[dict[str, Any]] = present.setdefault("manifests", [])
            if any(entry["digest"] == referrer.digest for entry in entries):
                return
            entries.append(_entry(referrer))
            raw = json.dumps(present, ensure_ascii=False, separators=(",", ":")).encode()
            await self._target.put_manifest(tag, Manifest.parse(raw, mediatypes.OCI_INDEX, None))


def _entry(descriptor: Descriptor) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        entry["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        entry["annotations"] = dict(descriptor.annotations)
    return entry


def _refused(digest: str, manifest: Manifest) -> Dropped:
    return Dropped(digest, manifest.media_type, DropReason.REFERRER_REFUSED)
