"""A history in memory: what a sync needs of the recorder, with the rules of the real one."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from mirror import outcome as values
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
)
from mirror.registry import Refusal

Repository = tuple[str, str]
_REFUSALS_HOLD = timedelta(days=30)


@dataclass
class MemoryRecorder:
    """Implements mirror.sync.Recorder. Its fields are what a test looks at.

    tests/sync/test_recorders.py holds it to the rules of the real one.
    """

    known: dict[str, dict[str, KnownTag]] = field(default_factory=lambda: defaultdict(dict))
    blobs: dict[Repository, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """Sizes in bytes by digest."""
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
    _placed: dict[tuple[Repository, str], int] = field(default_factory=dict)
    """By repository and digest, a number that is higher for what was placed later."""
    _learnt: dict[Repository, datetime] = field(default_factory=dict)
    """When something was last learnt of a repository's registry."""
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def check_lock(self, target: str) -> None:
        """Nobody else uses this history."""

    async def begin_run(
        self,
        mirror: str,
        trigger: Trigger,
        full: bool,
        dry_run: bool = False,
        flow_run_id: str | None = None,
    ) -> str:
        """Keep the run as running."""
        run_id = f"run-{next(self._numbers)}"
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
        adopted = {change.tag: change for change in plan.adopted}
        known, now = self.known[mirror], values.utcnow()
        for tag in discovery.tags:
            old, change, taken = known.get(tag.name), planned.get(tag.name), adopted.get(tag.name)
            detected_at = change.detected_at if change else now
            if taken is not None:
                target = discovery.target or {}
                known[tag.name] = KnownTag(
                    tag.name,
                    source_digest=tag.digest,
                    copied_digest=taken.digest,
                    target_digest=target.get(taken.target_tag) or taken.digest,
                    pushed_at=tag.pushed_at or _pushed_at(old, tag.digest),
                    detected_at=detected_at,
                    suspect=old.suspect if old else None,
                )
            elif old is None or old.source_digest != tag.digest:
                known[tag.name] = replace(
                    old or KnownTag(tag.name, None, None, None),
                    source_digest=tag.digest,
                    pushed_at=tag.pushed_at,
                    detected_at=detected_at,
                    attempts=0,
                    next_attempt_at=None,
                    gone_at=None,
                )
            elif old.gone_at is not None or old.pushed_at is None:
                known[tag.name] = replace(
                    old, pushed_at=tag.pushed_at or old.pushed_at, gone_at=None
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
        state = known.get(change.tag) or KnownTag(
            change.tag, change.digest, None, None, change.pushed_at, change.detected_at
        )
        if failure is None and verification is not None:
            known[change.tag] = replace(
                state,
                copied_digest=change.digest,
                target_digest=outcome.target_digest,
                attempts=0,
                next_attempt_at=None,
                suspect=None,
            )
        else:
            rule, attempts = retry or RetryRule(), state.attempts + 1
            wait = rule.wait if attempts <= rule.times else rule.then_every
            ended_at = verification.verified_at if verification else outcome.ended_at
            suspect = state.suspect
            if verification is not None and state.copied_digest == change.digest:
                suspect = suspect or values.ChangeKind.MISSING
            known[change.tag] = replace(
                state, attempts=attempts, next_attempt_at=ended_at + wait, suspect=suspect
            )
        self.dropped[mirror] |= {drop.digest for drop in outcome.dropped}
        if repository is not None:
            self._hold(repository, outcome)

    def _hold(self, repository: Repository, outcome: CopyOutcome) -> None:
        held = self.blobs[repository]
        placed = {blob.digest: blob.size for blob in outcome.placed}
        for digest in outcome.lost:
            if digest not in placed:
                held.pop(digest, None)
        for digest in placed.keys() - held.keys():
            held[digest] = placed[digest]
            self._placed[repository, digest] = next(self._numbers)

    async def tag_skipped(
        self,
        run_id: str,
        mirror: str,
        change: Change,
        status: TagStatus,
        message: str,
        *,
        retry_at: datetime | None = None,
    ) -> None:
        """Note it; a deleted tag is forgotten, a waiting one is left alone until `retry_at`."""
        self.skipped.append((change.tag, status, message))
        if retry_at is not None and change.tag in self.known[mirror]:
            state = self.known[mirror][change.tag]
            self.known[mirror][change.tag] = replace(state, next_attempt_at=retry_at)
        if status is TagStatus.DELETED:
            self.known[mirror].pop(change.tag, None)

    async def end_run(self, outcome: RunOutcome) -> None:
        """The run has ended."""
        self.running.pop(outcome.run_id, None)
        self.ended.append(outcome)

    async def holdings(
        self, registry: str, repository: str, most: int | None = None
    ) -> set[str] | None:
        """Blobs that runs have placed there; None if more than `most`."""
        held = set(self.blobs[registry, repository])
        return None if most is not None and len(held) > most else held

    async def holds_elsewhere(self, registry: str, repository: str) -> bool:
        """True if another repository of the registry holds any."""
        return any(
            held and place[0] == registry and place[1] != repository
            for place, held in self.blobs.items()
        )

    async def holders(
        self, registry: str, digests: Iterable[str], own: str | None = None
    ) -> dict[str, str]:
        """Where each of the blobs was placed last, or `own` where it is there."""
        found: dict[str, str] = {}
        for digest in digests:
            places = [
                place
                for place, held in self.blobs.items()
                if place[0] == registry and digest in held
            ]
            if places:
                newest = max(
                    places,
                    key=lambda place: (place[1] == own, self._placed.get((place, digest), 0)),
                )
                found[digest] = newest[1]
        return found

    async def dropped_digests(self, mirror: str) -> frozenset[str]:
        """All that runs have left out."""
        return frozenset(self.dropped[mirror])

    async def learnt(
        self, places: Iterable[Repository]
    ) -> Mapping[Repository, tuple[Mapping[str, Any], Mapping[str, Refusal]]]:
        """Capabilities, and refusals that still hold."""
        now = values.utcnow()
        return {
            place: (
                await self.abilities(*place),
                {name: one for name, one in self.refusals[place].items() if one.until > now},
            )
            for place in places
            if place in self._learnt or self.capabilities[place]
        }

    async def abilities(self, registry: str, repository: str) -> Mapping[str, Any]:
        """What runs have seen of the registry, without what it refused long ago."""
        place = (registry, repository)
        fresh, now = not self._is_stale(place), values.utcnow()
        refusals = self.refusals[place]

        def holds(name: str, value: object) -> bool:
            if value is True:
                return True
            return refusals[name].until > now if name in refusals else fresh

        seen = self.capabilities[place]
        return {name: value for name, value in seen.items() if holds(name, value)}

    async def save_abilities(
        self,
        registry: str,
        repository: str,
        abilities: Mapping[str, str | int | bool],
        refusals: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Keep it; what is long ago is forgotten."""
        place = (registry, repository)
        new = {name: Refusal.load(one) for name, one in (refusals or {}).items()}
        if self._is_stale(place):
            self.capabilities[place].clear()
        elif (
            place in self._learnt
            and abilities.items() <= self.capabilities[place].items()
            and new.items() <= self.refusals[place].items()
        ):
            return
        self.capabilities[place] |= abilities
        kept = {
            name: one
            for name, one in self.refusals[place].items()
            if abilities.get(name) is not True
        }
        self.refusals[place] = kept | new
        self._learnt[place] = values.utcnow()

    def _is_stale(self, place: Repository) -> bool:
        now = values.utcnow()
        return self._learnt.get(place, now) < now - _REFUSALS_HOLD

    async def add_quota(self, quota: Quota) -> None:
        """Keep it."""
        self.quotas.append(quota)


def _pushed_at(old: KnownTag | None, digest: str) -> datetime | None:
    """The push time that is recorded for a digest."""
    return old.pushed_at if old is not None and old.source_digest == digest else None
