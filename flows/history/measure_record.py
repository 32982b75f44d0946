"""Writing what is measured beside the syncs: quotas, looks of the watch, pulls, audits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from flows.history.rows import AuditOutcome, AuditWritten, ProbePull, PullCounted, WatchLook, new_id
from flows.history.session import Session
from flows.outcome import Quota, utcnow

_QUOTA = sa.text("""
    INSERT INTO quota_reading (registry, account, read_at, quota, remaining, window_seconds)
    VALUES (:registry, :account, :read_at, :quota, :remaining, :window)
    ON CONFLICT DO NOTHING
""")
_WATCH = sa.text("""
    INSERT INTO watch_run (started_at, id, ended_at, looked, moved, failed, messages, requests)
    VALUES (:started_at, :id, :ended_at, :looked, :moved, :failed, :messages, :requests)
""")
_PROBE = sa.text("""
    INSERT INTO probe (mirror_id, probed_at, tag, side, place, digest, first_byte_seconds, seconds,
                       bytes, well, reason, message)
    VALUES (:mirror, :probed_at, :tag, :side, :place, :digest, :first_byte, :seconds,
            :bytes, :well, :reason, :message)
    ON CONFLICT DO NOTHING
""")
_PULLS = sa.text("""
    INSERT INTO pull_count AS count (repository_id, day, pulls, counted_at)
    VALUES (:repository, :day, :pulls, :counted_at)
    ON CONFLICT (repository_id, day) DO UPDATE
    SET pulls = excluded.pulls, counted_at = excluded.counted_at
    WHERE excluded.counted_at >= count.counted_at
""")
_AUDIT = sa.text("""
    WITH audit AS (
        INSERT INTO audit_run (id, mirror_id, started_at, ended_at, deep, tags, blobs_checked,
                               blobs_hashed, bytes_hashed, requests, reason, message)
        VALUES (:id, :mirror, :started_at, :ended_at, :deep, :tags, :checked,
                :hashed, :bytes, :requests, :reason, :message)
    ), found AS (
        SELECT * FROM unnest(
            CAST(:found_tags AS text[]), CAST(:kinds AS text[]), CAST(:digests AS text[]),
            CAST(:messages AS text[]), CAST(:repairs AS text[])
        ) AS finding (tag, kind, digest, message, repair)
    ), sound AS (
        UPDATE audit_finding SET repaired_at = :ended_at FROM audit_run earlier
        WHERE repaired_at IS NULL AND kind = 'wrong_content' AND digest = ANY(:sound)
          AND earlier.id = audit_id AND earlier.mirror_id = :mirror
    ), findings AS (
        INSERT INTO audit_finding (audit_id, tag, kind, digest, message)
        SELECT :id, tag, kind, digest, message FROM found
    ), blobs AS (
        DELETE FROM blob_presence
        WHERE repository_id = :target AND digest IN (SELECT digest FROM found WHERE repair <> '')
    )
    UPDATE tag_state SET suspect = wrong.repair
    FROM (SELECT tag, max(repair) AS repair FROM found WHERE repair <> '' GROUP BY tag) AS wrong
    WHERE mirror_id = :mirror AND tag_state.tag = wrong.tag AND copied_digest IS NOT NULL
      AND (available_at IS NULL OR available_at < :started_at)
    RETURNING tag_state.tag
""")
# A registry may learn: what it refused is tried again once that is so long ago. Until then nothing
# is written unless something new was seen.
_REFUSALS_HOLD = timedelta(days=30)
_ABILITIES = sa.text(
    "SELECT abilities, learnt_at FROM registry_ability WHERE repository_id = :repository"
)
_SAVE_ABILITIES = sa.text("""
    INSERT INTO registry_ability AS known (repository_id, abilities, learnt_at)
    VALUES (:repository, CAST(:abilities AS jsonb), :now)
    ON CONFLICT (repository_id) DO UPDATE
    SET learnt_at = excluded.learnt_at,
        abilities = CASE WHEN known.learnt_at < :stale THEN excluded.abilities
                         ELSE known.abilities || excluded.abilities END
    WHERE known.learnt_at < :stale OR NOT known.abilities @> excluded.abilities
""")


class MeasureRecord(Session):
    """The recorder's part for measurements."""

    __slots__ = ()

    async def add_quota(self, quota: Quota) -> None:
        """Write what a registry told of its pull quota."""
        await self.partitions(quota.read_at)
        values = {
            "registry": quota.registry,
            "account": quota.account or "",
            "read_at": quota.read_at,
            "quota": quota.limit,
            "remaining": quota.remaining,
            "window": quota.window_seconds,
        }
        await self.run(_QUOTA, values)

    async def add_watch(self, look: WatchLook) -> None:
        """Write one look of the watch."""
        await self.partitions(look.started_at)
        values = {
            "started_at": look.started_at,
            "id": new_id(),
            "ended_at": look.ended_at,
            "looked": list(look.looked),
            "moved": list(look.moved),
            "failed": [failure.tag or "" for failure in look.failed],
            "messages": [failure.message for failure in look.failed],
            "requests": look.requests,
        }
        await self.run(_WATCH, values)

    async def add_probes(self, pulls: Iterable[ProbePull]) -> None:
        """Write the pulls of a round."""
        values = []
        for pull in pulls:
            await self.partitions(pull.probed_at)
            values.append(
                {
                    "mirror": (await self.mirror(pull.mirror)).id,
                    "probed_at": pull.probed_at,
                    "tag": pull.tag,
                    "side": pull.side,
                    "place": pull.place,
                    "digest": pull.digest,
                    "first_byte": pull.first_byte_seconds,
                    "seconds": pull.seconds,
                    "bytes": pull.bytes,
                    "well": pull.well,
                    "reason": pull.reason,
                    "message": pull.message,
                }
            )
        if values:
            await self.run(_PROBE, values)

    async def add_pull_count(self, counted: PullCounted) -> None:
        """Write how often a repository has been pulled; the last count of a day stays."""
        values = {
            "repository": await self.repository_named(counted.repository),
            "day": counted.day,
            "pulls": counted.pulls,
            "counted_at": counted.counted_at,
        }
        await self.run(_PULLS, values)

    async def add_audit(self, outcome: AuditOutcome) -> AuditWritten:
        """Write an audit and what it found, and hand over what the next sync has to repair.

        A tag that was copied again since the audit began is not handed over.
        """
        audit: UUID = new_id()
        mirror = await self.mirror(outcome.mirror)
        failure, found = outcome.failure, outcome.findings
        values = {
            "id": audit,
            "mirror": mirror.id,
            "target": mirror.target_id,
            "started_at": outcome.started_at,
            "ended_at": outcome.ended_at,
            "deep": outcome.deep,
            "tags": outcome.tags,
            "checked": outcome.blobs_checked,
            "hashed": outcome.blobs_hashed,
            "bytes": outcome.bytes_hashed,
            "requests": outcome.requests,
            "reason": failure.reason if failure else None,
            "message": failure.message if failure else None,
            "found_tags": [finding.tag for finding in found],
            "kinds": [finding.kind for finding in found],
            "digests": [finding.digest for finding in found],
            "messages": [finding.message for finding in found],
            "sound": list(outcome.sound),
            "repairs": [finding.repair or "" for finding in found],
        }
        rows = await self.rows(_AUDIT, values)
        return AuditWritten(str(audit), tuple(sorted(row.tag for row in rows)))

    async def abilities(
        self, registry: str, repository: str, at: datetime | None = None
    ) -> dict[str, Any]:
        """What the registry was seen to do for this repository; empty when nothing is known.

        Without what it refused (false) more than 30 days ago.
        """
        values = {"repository": await self.repository(registry, repository)}
        rows = await self.rows(_ABILITIES, values)
        if not rows:
            return {}
        fresh = rows[0].learnt_at >= (at or utcnow()) - _REFUSALS_HOLD
        seen: dict[str, Any] = rows[0].abilities
        return {name: value for name, value in seen.items() if fresh or value is not False}

    async def save_abilities(
        self,
        registry: str,
        repository: str,
        abilities: Mapping[str, str | int | bool],
        at: datetime | None = None,
    ) -> None:
        """Remember what the registry was seen to do for this repository."""
        now = at or utcnow()
        values = {
            "repository": await self.repository(registry, repository),
            "abilities": json.dumps(dict(abilities)),
            "now": now,
            "stale": now - _REFUSALS_HOLD,
        }
        await self.run(_SAVE_ABILITIES, values)
