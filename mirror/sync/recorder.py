"""Where a sync writes what it does: implemented by the history, and in memory by tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

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

Learnt = tuple[Mapping[str, Any], Mapping[str, Refusal]]
"""Capabilities of a repository's registry, and the optional requests that it refused."""


class Recorder(Protocol):
    """The history as a sync sees it. Mirrors and tags are named; each write is durable on return.

    Repositories are (registry host, path). Every method may raise DatabaseError.
    """

    async def check_lock(self, target: str) -> None:
        """Raise DatabaseError if the run lost the lock of its target (`host[:port]/path`)."""

    async def begin_run(
        self,
        mirror: str,
        trigger: Trigger,
        full: bool,
        dry_run: bool = False,
        flow_run_id: str | None = None,
    ) -> str:
        """Write that a run begins; its id."""

    async def close_abandoned(self, mirror: str, except_run: str | None) -> tuple[str, ...]:
        """Close runs whose process died; their ids."""

    async def known_tags(self, mirror: str) -> dict[str, KnownTag]:
        """The recorded state of the mirror's tags, by name."""

    async def discovered(self, run_id: str, mirror: str, discovery: Discovery, plan: Plan) -> None:
        """Write what differs from the last `known_tags`."""

    async def tag_started(self, run_id: str, mirror: str, change: Change, at: datetime) -> None:
        """Write that the copy of a tag starts."""

    async def tag_ended(
        self,
        run_id: str,
        mirror: str,
        outcome: CopyOutcome,
        verification: Verification | None,
        retry: RetryRule | None = None,
        repository: tuple[str, str] | None = None,
    ) -> None:
        """Write how a tag ended, and which blobs the target repository now holds."""

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
        """Write a tag that was not copied (waiting, held) or was deleted.

        `retry_at`: later runs leave a waiting tag alone until then.
        """

    async def end_run(self, outcome: RunOutcome) -> None:
        """Write how the run ended."""

    async def holdings(
        self, registry: str, repository: str, most: int | None = None
    ) -> Collection[str] | None:
        """Digests of the blobs that a repository is known to hold; None if more than `most`."""

    async def holds_elsewhere(self, registry: str, repository: str) -> bool:
        """True if other repositories of the registry are known to hold blobs."""

    async def holders(
        self, registry: str, digests: Iterable[str], own: str | None = None
    ) -> Mapping[str, str]:
        """By digest, a repository of the registry that holds the blob: `own` where it does."""

    async def dropped_digests(self, mirror: str) -> frozenset[str]:
        """Digests of everything left out at the mirror's target."""

    async def learnt(self, places: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], Learnt]:
        """Capabilities and refused optional requests by repository, as far as they hold."""

    async def abilities(self, registry: str, repository: str) -> Mapping[str, Any]:
        """The registry's capabilities as seen before; empty where nothing is known."""

    async def save_abilities(
        self,
        registry: str,
        repository: str,
        abilities: Mapping[str, str | int | bool],
        refusals: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Write the registry's capabilities, and why optional requests failed."""

    async def add_quota(self, quota: Quota) -> None:
        """Write a reading of a pull quota."""
