"""The recorder of checks in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from mirror.history import (
    AuditOutcome,
    AuditWritten,
    MirrorRow,
    ProbePull,
    PullCounted,
    WatchKey,
    WatchRow,
)
from mirror.outcome import KnownTag, Quota
from mirror.sync import Learnt


@dataclass
class MemoryRecorder:
    """Keeps what checks write; `known` is what they read, by mirror."""

    known: dict[str, dict[str, KnownTag]] = field(default_factory=dict)
    mirrors: list[str] = field(default_factory=list)
    watches: list[WatchRow] = field(default_factory=list)
    audits: list[AuditOutcome] = field(default_factory=list)
    quotas: list[Quota] = field(default_factory=list)
    probes: list[ProbePull] = field(default_factory=list)
    capabilities: dict[tuple[str, str], Learnt] = field(default_factory=dict)
    pull_counts: dict[str, int] = field(default_factory=dict)

    async def ensure_mirror(self, mirror: MirrorRow) -> bool:
        """Note the mirror's name."""
        self.mirrors.append(mirror.name)
        return mirror.name in self.known

    async def known_tags(self, mirror: str) -> Mapping[str, KnownTag]:
        """Those set by the test."""
        assert mirror in self.mirrors
        return self.known.get(mirror, {})

    async def learnt(self, places: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Learnt]:
        """Those set by the test."""
        return {place: self.capabilities[place] for place in places if place in self.capabilities}

    async def add_watch(self, look: WatchRow) -> WatchKey:
        """Keep the round."""
        self.watches.append(look)
        return WatchKey(look.started_at, UUID(int=len(self.watches)))

    async def extend_watch(self, key: WatchKey, ended_at: datetime, requests: int) -> None:
        """Change the round."""
        at = key.id.int - 1
        row = self.watches[at]
        self.watches[at] = replace(row, ended_at=ended_at, requests=row.requests + requests)

    async def add_audit(self, outcome: AuditOutcome) -> AuditWritten:
        """Keep the audit; every tag that a sync can repair is handed over."""
        self.audits.append(outcome)
        tags = {finding.tag for finding in outcome.findings if finding.repair is not None}
        return AuditWritten(f"audit-{len(self.audits)}", tuple(sorted(tags)))

    async def add_quota(self, quota: Quota) -> None:
        """Keep the quota."""
        self.quotas.append(quota)

    async def add_probes(self, pulls: Iterable[ProbePull]) -> None:
        """Keep the pulls."""
        self.probes += pulls

    async def add_pull_count(self, counted: PullCounted) -> None:
        """Keep the count."""
        self.pull_counts[counted.repository] = counted.pulls
