"""What checks read from the history and write to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

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


class CheckRecorder(Protocol):
    """The part of the history's recorder that checks use; tests implement it in memory."""

    async def ensure_mirror(self, mirror: MirrorRow) -> bool:
        """Write a mirror as it is configured now; False where no tag of it is known."""

    async def known_tags(self, mirror: str) -> Mapping[str, KnownTag]:
        """The present state of a mirror's tags, by name."""

    async def add_watch(self, look: WatchRow) -> WatchKey:
        """Write one round of the watch; its key."""

    async def extend_watch(self, key: WatchKey, ended_at: datetime, requests: int) -> None:
        """Add looks that found nothing to the row of an earlier one, until `ended_at`."""

    async def add_audit(self, outcome: AuditOutcome) -> AuditWritten:
        """Write an audit and hand over what the next sync has to repair."""

    async def add_quota(self, quota: Quota) -> None:
        """Write what is left of a pull quota."""

    async def add_probes(self, pulls: Iterable[ProbePull]) -> None:
        """Write the pulls of a probe round, and hand over what the next sync has to repair."""

    async def learnt(self, places: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Learnt]:
        """What earlier runs learnt of (registry, repository)."""

    async def add_pull_count(self, counted: PullCounted) -> None:
        """Write how often a repository has been pulled."""
