"""What refers to a manifest travels with it: signatures, SBOMs, provenance.

By the referrers API and by the referrers tag schema (distribution-spec 1.1, "Listing Referrers"),
and by cosign's tags `sha256-<hex>.sig`, `.att` and `.sbom`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from flows.outcome import Dropped, DropReason
from flows.registry import Descriptor, Manifest, NotFound, RefusedMediaType, Repository, mediatypes
from flows.steps.flight import SingleFlight
from flows.steps.ledger import Ledger
from flows.steps.tags import companion_prefix

PutTree = Callable[[Manifest, Ledger], Awaitable[Manifest]]


class ReferrerCopier:
    """Copies the referrers of manifests from one repository to another, for one run."""

    def __init__(
        self,
        source: Repository,
        target: Repository,
        put_tree: PutTree,
        companions: Collection[str] = (),
    ) -> None:
        """`put_tree` puts a manifest by digest with all that it names and its own referrers.

        `companions`: sha256-… tags at the source that no tag policy brings over by itself.
        """
        self._source = source
        self._target = target
        self._put_tree = put_tree
        self._companions: dict[str, list[str]] = {}
        for name in sorted(companions):
            self._companions.setdefault(name.partition(".")[0], []).append(name)
        self._flight: SingleFlight[str, int] = SingleFlight()
        self._fallback = asyncio.Lock()

    async def copy(self, digest: str, ledger: Ledger) -> int:
        """Bring what refers to the source's manifest `digest` to the target; how many there are."""
        count, _ = await self._flight.do(digest, lambda: self._copy(digest, ledger))
        return count

    async def _copy(self, digest: str, ledger: Ledger) -> int:
        referrers = await self._source.referrers(digest, fallback=False)
        for descriptor in referrers:
            await self._copy_one(digest, descriptor, ledger)
        tags = self._companions.get(companion_prefix(digest), ())
        for tag in tags:
            await self._copy_tag(tag, ledger)
        return len(referrers) + len(tags)

    async def _copy_one(self, subject: str, descriptor: Descriptor, ledger: Ledger) -> None:
        manifest = await self._source.get_manifest(descriptor.digest)
        try:
            await self._put_tree(manifest, ledger)
        except RefusedMediaType:
            ledger.dropped[descriptor.digest] = _refused(descriptor.digest, manifest)
            return
        if not self._target.registry.abilities.referrers:
            await self._maintain_fallback(subject, descriptor)

    async def _copy_tag(self, tag: str, ledger: Ledger) -> None:
        try:
            manifest = await self._source.get_manifest(tag)
        except NotFound:  # listed, yet deleted since
            return
        try:
            placed = await self._put_tree(manifest, ledger)
            await self._target.put_manifest(tag, placed)
        except RefusedMediaType:
            ledger.dropped[manifest.digest] = _refused(manifest.digest, manifest)

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
            entries: list[dict[str, Any]] = present["manifests"]
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
