"""Audit: what a target really holds, against the source and the history. Reads, never writes.

Every tag's digest on both sides; below each distinct digest of the target all children by GET
(their bytes are hashed) and all blobs by GET of one byte, with their size; then a random sample of
blobs, or all of them, fetched and hashed. The source's manifests are not fetched, which would spend
pull quota: equal digests mean equal manifests.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from mirror.checks.audit_finding import AuditFinding, FindingKind
from mirror.concurrency import gather_all
from mirror.config import CosignKey
from mirror.outcome import KnownTag
from mirror.registry import (
    Descriptor,
    DigestMismatch,
    Manifest,
    NotFound,
    RegistryError,
    Repository,
    is_foreign_layer,
)
from mirror.sync import (
    DiscoverRequest,
    SignatureCheck,
    SingleFlight,
    TagRules,
    discover,
    subject_of,
)

_HASHED_AT_ONCE = 4


@dataclass(frozen=True)
class AuditRequest:
    """What to audit. `sample`: blobs to fetch and hash, None for all (`--deep`).

    `keys`: one of them must have signed what the target holds; none: nothing is verified.
    """

    source: Repository
    target: Repository
    rules: TagRules
    known: Mapping[str, KnownTag]
    sample: int | None = 10
    keys: tuple[CosignKey, ...] = ()
    chance: random.Random = field(default_factory=random.SystemRandom)


@dataclass(frozen=True)
class AuditResult:
    """What an audit found."""

    tags: int  # compared
    findings: tuple[AuditFinding, ...]
    blobs_checked: int = 0
    blobs_hashed: int = 0
    bytes_hashed: int = 0
    sound: tuple[str, ...] = ()  # digests of the blobs whose bytes were hashed and are right


async def audit(request: AuditRequest) -> AuditResult:
    """Compare both sides. Differences are in the result.

    Raises RegistryError where the tags of a side cannot be read at all.
    """
    discovery = await discover(
        DiscoverRequest(request.source, request.target, request.rules, request.known, full=True)
    )
    seen = discovery.target or {}
    auditor = _Auditor(request)
    findings: list[AuditFinding] = [
        AuditFinding(failure.tag or "", FindingKind.UNREADABLE, failure.message)
        for failure in discovery.failed
    ]
    held: dict[str, list[str]] = {}
    for tag in discovery.tags:
        observed = seen.get(request.rules.target_name(tag.name))
        if finding := auditor.compare(tag.name, tag.digest, observed):
            findings.append(finding)
        if observed is not None and (finding is None or finding.kind is FindingKind.BEHIND):
            held.setdefault(observed, []).append(tag.name)
    findings = await auditor.confirmed(
        findings, {tag.name: tag.digest for tag in discovery.tags}, seen
    )
    findings += await auditor.unexplained(discovery.listed)
    shown = {tag.name: tag.digest for tag in discovery.tags}
    findings += await auditor.unsigned({tag: shown[tag] for tags in held.values() for tag in tags})
    below = await gather_all(auditor.examine(digest) for digest in held)
    wrong = await auditor.sample()
    for tags, problems in zip(held.values(), below, strict=True):
        findings += [
            replace(problem, tag=tag) for tag in tags for problem in _unique(problems, wrong)
        ]
    return AuditResult(
        tags=len(discovery.tags) + len(discovery.failed),
        findings=tuple(findings),
        blobs_checked=auditor.blobs_checked,
        blobs_hashed=auditor.blobs_hashed,
        bytes_hashed=auditor.bytes_hashed,
        sound=tuple(auditor.sound),
    )


@dataclass(frozen=True)
class _Below:
    """What is below a manifest: problems found, and the blobs."""

    problems: tuple[AuditFinding, ...] = ()
    blobs: frozenset[str] = frozenset()


def _unique(below: _Below, wrong: Mapping[str, AuditFinding]) -> Iterable[AuditFinding]:
    found = [*below.problems, *(wrong[digest] for digest in sorted(below.blobs & wrong.keys()))]
    return dict.fromkeys(found)


class _Auditor:
    def __init__(self, request: AuditRequest) -> None:
        self._request = request
        self._target = request.target
        self._manifests: SingleFlight[str, _Below] = SingleFlight()
        self._blobs: SingleFlight[str, AuditFinding | None] = SingleFlight()
        self._sound: dict[str, Descriptor] = {}  # blobs that exist with the right size
        self.blobs_checked = 0
        self.blobs_hashed = 0
        self.bytes_hashed = 0
        self.sound: list[str] = []  # hashed, and right

    def compare(self, tag: str, source: str, observed: str | None) -> AuditFinding | None:
        """The finding of a tag's two digests and the history, or None where all agree."""
        state = self._request.known.get(tag)
        copied = state.copied_digest if state else None
        left = state.target_digest if state else None
        where = self._tagged(self._request.rules.target_name(tag))
        if observed == source or (observed is not None and copied == source and observed == left):
            return None
        if observed is None:
            if copied is None:
                return AuditFinding(tag, FindingKind.BEHIND, f"{where} is not there yet", source)
            return AuditFinding(tag, FindingKind.MISSING_TAG, f"{where} is gone", left)
        if observed == left and copied != source:
            if self._request.rules.is_immutable(tag):
                return None  # kept on purpose: the source moved a tag that must not move
            message = f"{where} is {observed}, the source has moved on to {source}"
            return AuditFinding(tag, FindingKind.BEHIND, message, source)
        message = f"{where} is {observed} instead of {left or source}"
        return AuditFinding(tag, FindingKind.WRONG_DIGEST, message, observed)

    async def confirmed(
        self,
        findings: list[AuditFinding],
        source: Mapping[str, str],
        target: Mapping[str, str | None],
    ) -> list[AuditFinding]:
        """Those of the findings whose tag has not changed on either side meanwhile.

        A sync may be running: what it has repaired since does not differ.
        """

        async def unchanged(finding: AuditFinding) -> bool:
            if finding.kind is FindingKind.UNREADABLE:
                return True
            name = self._request.rules.target_name(finding.tag)
            at_source, at_target = await asyncio.gather(
                self._request.source.head_manifest(finding.tag), self._target.head_manifest(name)
            )
            return (
                at_source is not None
                and at_source.digest == source[finding.tag]
                and (at_target.digest if at_target else None) == target.get(name)
            )

        confirmed = await gather_all(unchanged(finding) for finding in findings)
        return [finding for finding, yes in zip(findings, confirmed, strict=True) if yes]

    async def unexplained(self, listed: frozenset[str]) -> list[AuditFinding]:
        """Tags at the target that neither the source, nor the history, nor a backup explains."""
        rules = self._request.rules
        explained = {rules.target_name(name) for name in listed | self._request.known.keys()}
        backup = _backup_pattern(rules)
        return [
            AuditFinding(
                name,
                FindingKind.EXTRA_TAG,
                f"{self._tagged(name)} has no counterpart at the source and no sync copied it",
            )
            for name in await self._target.tags()
            if name not in explained
            and not subject_of(name)
            and not (backup and backup.fullmatch(name))
        ]

    async def unsigned(self, held: Mapping[str, str]) -> list[AuditFinding]:
        """Tags that the target holds though `verify` would not copy them.

        `held`: what each points at at the source. Signatures travel with images, so the target is
        asked first, which spends no pull quota.
        """
        keys = self._request.keys
        if not keys:
            return []
        checks = [
            SignatureCheck(side, keys, timedelta()) for side in (self._target, self._request.source)
        ]

        async def one(tag: str, digest: str) -> AuditFinding | None:
            state = self._request.known.get(tag)
            copied = (state and state.copied_digest) or digest
            problem: str | None = None
            for check in checks:
                try:
                    problem = await check.problem(copied)
                except RegistryError as error:
                    return AuditFinding(tag, FindingKind.UNREADABLE, str(error), copied)
                if problem is None:
                    return None
            message = (
                f"{self._tagged(self._request.rules.target_name(tag))} was copied from {copied},"
                f" which has no valid signature by {keys[0].file.name}: {problem}; have it signed,"
                " or delete the tag at the target"
            )
            return AuditFinding(tag, FindingKind.UNSIGNED, message, copied)

        images = {tag: digest for tag, digest in held.items() if subject_of(tag) is None}
        found = await gather_all(one(tag, digest) for tag, digest in images.items())
        return [finding for finding in found if finding]

    async def examine(self, digest: str) -> _Below:
        """Everything below a manifest of the target."""
        below, _ = await self._manifests.do(digest, lambda: self._manifest(digest, None))
        return below

    async def _manifest(self, digest: str, size: int | None) -> _Below:
        try:
            manifest = await self._target.get_manifest(digest)
        except NotFound:
            return _problem(FindingKind.MISSING_MANIFEST, digest, f"{self._at(digest)} is missing")
        except DigestMismatch as error:
            return _problem(FindingKind.WRONG_CONTENT, digest, str(error))
        except RegistryError as error:
            return _problem(FindingKind.UNREADABLE, digest, str(error))
        if size is not None and len(manifest.raw) != size:
            message = f"{self._at(digest)} has {len(manifest.raw)} bytes, but its index says {size}"
            return _problem(FindingKind.WRONG_SIZE, digest, message)
        return await self._below(manifest)

    async def _below(self, manifest: Manifest) -> _Below:
        blobs = [blob for blob in manifest.blobs if not is_foreign_layer(blob.media_type)]
        children, checked = await asyncio.gather(
            gather_all(self._child(child) for child in manifest.children),
            gather_all(self._blob(blob) for blob in blobs),
        )
        return _Below(
            problems=tuple(
                dict.fromkeys(
                    [problem for child in children for problem in child.problems]
                    + [problem for problem in checked if problem]
                )
            ),
            blobs=frozenset(blob.digest for blob in blobs).union(*(c.blobs for c in children)),
        )

    async def _child(self, child: Descriptor) -> _Below:
        below, _ = await self._manifests.do(
            child.digest, lambda: self._manifest(child.digest, child.size)
        )
        return below

    async def _blob(self, blob: Descriptor) -> AuditFinding | None:
        finding, _ = await self._blobs.do(blob.digest, lambda: self._touch(blob))
        return finding

    async def _touch(self, blob: Descriptor) -> AuditFinding | None:
        self.blobs_checked += 1
        where = f"blob {self._at(blob.digest)}"
        try:
            size = await self._target.touch_blob(blob, whole=False)
        except RegistryError as error:
            return AuditFinding("", FindingKind.UNREADABLE, str(error), blob.digest)
        if size is None:
            return AuditFinding("", FindingKind.MISSING_BLOB, f"{where} is missing", blob.digest)
        if size != blob.size:
            message = f"{where} has {size} bytes, but its manifest says {blob.size}"
            return AuditFinding("", FindingKind.WRONG_SIZE, message, blob.digest)
        self._sound[blob.digest] = blob
        return None

    async def sample(self) -> Mapping[str, AuditFinding]:
        """Fetch and hash blobs that look sound; findings by digest."""
        blobs = sorted(self._sound.values(), key=lambda blob: blob.digest)
        if self._request.sample is not None:
            blobs = self._request.chance.sample(blobs, min(self._request.sample, len(blobs)))
        slots = asyncio.Semaphore(_HASHED_AT_ONCE)

        async def one(blob: Descriptor) -> AuditFinding | None:
            async with slots:
                return await self._hash(blob)

        found = await gather_all(one(blob) for blob in blobs)
        return {finding.digest or "": finding for finding in found if finding}

    async def _hash(self, blob: Descriptor) -> AuditFinding | None:
        self.blobs_hashed += 1
        try:
            async for piece in self._target.read_blob(blob):
                self.bytes_hashed += len(piece)
        except DigestMismatch as error:
            message = f"{error}; its storage is damaged: have the blob removed there, then sync"
            return AuditFinding("", FindingKind.WRONG_CONTENT, message, blob.digest)
        except NotFound as error:
            return AuditFinding("", FindingKind.MISSING_BLOB, str(error), blob.digest)
        except RegistryError as error:
            return AuditFinding("", FindingKind.UNREADABLE, str(error), blob.digest)
        self.sound.append(blob.digest)
        return None

    def _tagged(self, tag: str) -> str:
        return f"{self._target.registry.host}/{self._target.name}:{tag}"

    def _at(self, digest: str) -> str:
        return f"{self._target}@{digest}"


def _problem(kind: FindingKind, digest: str, message: str) -> _Below:
    return _Below(problems=(AuditFinding("", kind, message, digest),))


def _backup_pattern(rules: TagRules) -> re.Pattern[str] | None:
    """Names of backups: `tags.backup` with its placeholders filled in."""
    if not rules.backup:
        return None
    parts = re.split(r"\{(?:tag|digest|date)\}", rules.backup)
    return re.compile(".+".join(re.escape(part) for part in parts))
