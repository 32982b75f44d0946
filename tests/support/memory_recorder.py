"""A history in memory: what a sync needs of the recorder, with the rules of the real one."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mirror.outcome import (
    Change,
    CopyOutcome,
    Discovery,
    KnownTag,
    Plan,
    Quota,
    RetryRule,
    RunOutcome,
    TagStatus,
    Trigger,
    Verification,
    utcnow,
)
from mirror.registry import Refusal

Repository = tuple[str, str]


@dataclass
class MemoryRecorder:
    """Implements mirror.sync.Recorder. Its fields are what a test looks at."""

    known: dict[str, dict[str, KnownTag]] = field(default_factory=lambda: defaultdict(dict))
    blobs: dict[Repository, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    capabilities: dict[Repository, dict[str, str | int | bool]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    refusals: dict[Repository, dict[str, Refusal]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    dropped: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    quotas: list[Quota] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)
    """Runs that have not ended, with their mirrors."""
    ended: list[RunOutcome] = field(default_factory=list)
    discoveries: list[tuple[Discovery, Plan]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    """Tags in the order in which their copies started."""
    skipped: list[tuple[str, TagStatus, str]] = field(default_factory=list)
    _numbers: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    async def begin_run(
        self,
        mirror: str,
        trigger: Trigger,
        full: bool,
        dry_run: bool = False,
        flow_run_id: str | None = None,
    ) -> str:
        """Keep the run as running."""
        run_id = f"run-{next(iter(self._numbers))}"
        self.running[run_id] = mirror
        return run_id

    async def close_abandoned(self, mirror: str, except_run: str | None) -> tuple[str, ...]:
        """Runs of the mirror that never ended."""
        dead = [run for run, name in self.running.items() if name == mirror and run != except_run]
        for run in dead:
            del self.running[run]
        return tuple(dead)

    async def known_tags(self, mirror: str) -> dict[str, KnownTag]:
        """The tags as the last runs left them."""
        return dict(self.known[mirror])

    async def discovered(self, run_id: str, mirror: str, discovery: Discovery, plan: Plan) -> None:
        """Take over new digests, adopted tags and those that are gone."""
        self.discoveries.append((discovery, plan))
        planned = {change.tag: change for change in (*plan.changes, *plan.held, *plan.adopted)}
        known, now = self.known[mirror], utcnow()
        for tag in discovery.tags:
            old, change = known.get(tag.name), planned.get(tag.name)
            if old is not None and old.source_digest == tag.digest and old.gone_at is None:
                continue
            known[tag.name] = replace(
                old or KnownTag(tag.name, None, None, None),
                source_digest=tag.digest,
                pushed_at=tag.pushed_at,
                detected_at=change.detected_at if change else now,
                attempts=0,
                next_attempt_at=None,
                gone_at=None,
            )
        for name in plan.gone:
            if known[name].gone_at is None:
                known[name] = replace(known[name], gone_at=now)

    async def tag_started(self, run_id: str, mirror: str, change: Change, at: datetime) -> None:
        """Note the order."""
        self.started.append(change.tag)

    async def tag_ended(
        self,
        run_id: str,
        mirror: str,
        outcome: CopyOutcome,
        verification: Verification | None,
        retry: RetryRule | None = None,
        repository: Repository | None = None,
    ) -> None:
        """A verified tag is copied; a failed one is tried again when the rule says."""
        failure = outcome.failure or (verification.failure if verification else None)
        change, known = outcome.change, self.known[mirror]
        state = known.get(change.tag) or KnownTag(change.tag, change.digest, None, None)
        if failure is None and verification is not None:
            known[change.tag] = replace(
                state,
                source_digest=change.digest,
                copied_digest=change.digest,
                target_digest=outcome.target_digest,
                attempts=0,
                next_attempt_at=None,
                suspect=None,
            )
        else:
            rule = retry or RetryRule()
            wait = rule.wait if change.attempt <= rule.times else rule.then_every
            known[change.tag] = replace(
                state, attempts=change.attempt, next_attempt_at=utcnow() + wait
            )
        self.dropped[mirror] |= {drop.digest for drop in outcome.dropped}
        if repository is not None:
            held = self.blobs[repository]
            for digest in outcome.lost:
                held.pop(digest, None)
            held.update({blob.digest: blob.size for blob in outcome.placed})

    async def tag_skipped(
        self, run_id: str, mirror: str, change: Change, status: TagStatus, message: str
    ) -> None:
        """Note it; a deleted tag is forgotten."""
        self.skipped.append((change.tag, status, message))
        if status is TagStatus.DELETED:
            self.known[mirror].pop(change.tag, None)

    async def end_run(self, outcome: RunOutcome) -> None:
        """The run has ended."""
        self.running.pop(outcome.run_id, None)
        self.ended.append(outcome)

    async def holdings(self, registry: str, repository: str) -> set[str]:
        """Blobs that runs have placed there."""
        return set(self.blobs[registry, repository])

    async def holds_elsewhere(self, registry: str, repository: str) -> bool:
        """True if another repository of the registry holds any."""
        return any(
            held and place[0] == registry and place[1] != repository
            for place, held in self.blobs.items()
        )

    async def holders(self, registry: str, digests: Iterable[str]) -> dict[str, str]:
        """Where each of the blobs is."""
        return {
            digest: name
            for digest in digests
            for (host, name), held in self.blobs.items()
            if host == registry and digest in held
        }

    async def dropped_digests(self, mirror: str) -> frozenset[str]:
        """All that runs have left out."""
        return frozenset(self.dropped[mirror])

    async def abilities(self, registry: str, repository: str) -> Mapping[str, Any]:
        """What runs have seen of the registry."""
        refusals = self.refusals[registry, repository]
        return {
            name: value
            for name, value in self.capabilities[registry, repository].items()
            if name not in refusals or value is True or refusals[name].until > utcnow()
        }

    async def save_abilities(
        self,
        registry: str,
        repository: str,
        abilities: Mapping[str, str | int | bool],
        refusals: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Keep it."""
        self.refusals[registry, repository] |= {
            name: Refusal.load(refusal) for name, refusal in (refusals or {}).items()
        }
        self.capabilities[registry, repository] |= abilities

    async def add_quota(self, quota: Quota) -> None:
        """Keep it."""
        self.quotas.append(quota)
