"""Writing measurements: quotas, rounds of the watch, pulls, audits, capabilities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from mirror.history.recording import storable
from mirror.history.recording.hook_listener import HOOKS_CHANNEL
from mirror.history.recording.recorder_session import RecorderSession
from mirror.history.recording.rows import (
    AuditOutcome,
    AuditWritten,
    ProbePull,
    PullCounted,
    WatchKey,
    WatchRow,
    new_id,
)
from mirror.outcome import Quota, utcnow
from mirror.registry import Refusal

_QUOTA = """
    INSERT INTO quota_reading (registry, account, read_at, quota, remaining, window_seconds)
    VALUES (%(registry)s, %(account)s, %(read_at)s, %(quota)s, %(remaining)s, %(window)s)
    ON CONFLICT DO NOTHING
"""
_WATCH = """
    INSERT INTO watch_run (started_at, id, ended_at, looked, moved, failed, messages, requests)
    VALUES (%(started_at)s, %(id)s, %(ended_at)s, %(looked)s, %(moved)s, %(failed)s, %(messages)s,
        %(requests)s)
"""
_WATCH_ON = """
    UPDATE watch_run SET ended_at = %(ended_at)s, requests = requests + %(requests)s
    WHERE started_at = %(started_at)s AND id = %(id)s
"""
_HOOKS = """
    INSERT INTO hook_event (id, received_at, kind, sender, repository, tag)
    SELECT id, %(received_at)s, %(kind)s, %(sender)s, repository, tag
    FROM unnest(CAST(%(ids)s AS uuid[]), CAST(%(repositories)s AS text[]),
                CAST(%(tags)s AS text[])) AS event (id, repository, tag)
"""
_NOTIFY = f"NOTIFY {HOOKS_CHANNEL}"
_NEW_HOOKS = """
    SELECT id, repository FROM hook_event
    WHERE woken_at IS NULL AND received_at > %(since)s ORDER BY received_at
"""
_WOKEN = """
    UPDATE hook_event SET woken_at = clock_timestamp(), source = woken.source
    FROM unnest(CAST(%(ids)s AS uuid[]), CAST(%(sources)s AS text[])) AS woken (id, source)
    WHERE hook_event.id = woken.id
"""
_LOOKED = """
    UPDATE hook_event SET looked_at = %(at)s
    WHERE source = %(source)s AND looked_at IS NULL AND woken_at <= %(at)s
"""
_PROBE = """
    INSERT INTO probe (mirror_id, probed_at, tag, side, place, digest, first_byte_seconds, seconds,
                       bytes, well, reason, message)
    VALUES (%(mirror)s, %(probed_at)s, %(tag)s, %(side)s, %(place)s, %(digest)s, %(first_byte)s,
        %(seconds)s,
            %(bytes)s, %(well)s, %(reason)s, %(message)s)
    ON CONFLICT DO NOTHING
"""
_LOST = """
    WITH lacking AS (
        UPDATE tag_state SET suspect = coalesce(suspect, 'missing')
        WHERE mirror_id = %(mirror)s AND tag = %(tag)s AND copied_digest IS NOT NULL
          AND (available_at IS NULL OR available_at < %(probed_at)s)
        RETURNING tag
    )
    DELETE FROM blob_presence USING lacking
    WHERE repository_id = %(target)s AND digest = %(blob)s
"""
_PULLS = """
    INSERT INTO pull_count AS count (repository_id, day, pulls, counted_at)
    VALUES (%(repository)s, %(day)s, %(pulls)s, %(counted_at)s)
    ON CONFLICT (repository_id, day) DO UPDATE
    SET pulls = excluded.pulls, counted_at = excluded.counted_at
    WHERE excluded.counted_at >= count.counted_at
"""
_AUDIT = """
    WITH audit AS (
        INSERT INTO audit_run (id, mirror_id, started_at, ended_at, deep, tags, blobs_checked,
                               blobs_hashed, bytes_hashed, requests, reason, message)
        VALUES (%(id)s, %(mirror)s, %(started_at)s, %(ended_at)s, %(deep)s, %(tags)s, %(checked)s,
                %(hashed)s, %(bytes)s, %(requests)s, %(reason)s, %(message)s)
    ), found AS (
        SELECT * FROM unnest(
            CAST(%(found_tags)s AS text[]), CAST(%(kinds)s AS text[]), CAST(%(digests)s AS text[]),
            CAST(%(messages)s AS text[]), CAST(%(repairs)s AS text[])
        ) AS finding (tag, kind, digest, message, repair)
    ), sound AS (
        UPDATE audit_finding SET repaired_at = %(ended_at)s FROM audit_run earlier
        WHERE repaired_at IS NULL AND kind = 'wrong_content' AND digest = ANY(%(sound)s)
          AND earlier.id = audit_id AND earlier.mirror_id = %(mirror)s
    ), findings AS (
        INSERT INTO audit_finding (audit_id, tag, kind, digest, message)
        SELECT %(id)s, tag, kind, digest, message FROM found
    ), blobs AS (
        DELETE FROM blob_presence
        WHERE repository_id = %(target)s AND digest IN (SELECT digest FROM found WHERE repair <> '')
    )
    UPDATE tag_state SET suspect = wrong.repair
    FROM (SELECT tag, max(repair) AS repair FROM found WHERE repair <> '' GROUP BY tag) AS wrong
    WHERE mirror_id = %(mirror)s AND tag_state.tag = wrong.tag AND copied_digest IS NOT NULL
      AND (available_at IS NULL OR available_at < %(started_at)s)
    RETURNING tag_state.tag
"""
# Registries gain features: what one refused is tried again after this time. Until then nothing is
# written unless something new was seen.
_REFUSALS_HOLD = timedelta(days=30)
_LEARNT = """
    SELECT registry, name, abilities, learnt_at, refusals
    FROM unnest(CAST(%(registries)s AS text[]), CAST(%(names)s AS text[])) AS place (registry, name)
    JOIN repository USING (registry, name)
    JOIN registry_ability ON repository_id = repository.id
"""
_SAVE_ABILITIES = """
    INSERT INTO registry_ability AS known (repository_id, abilities, learnt_at, refusals)
    VALUES (%(repository)s, CAST(%(abilities)s AS jsonb), %(now)s, CAST(%(refusals)s AS jsonb))
    ON CONFLICT (repository_id) DO UPDATE
    SET learnt_at = excluded.learnt_at,
        abilities = CASE WHEN known.learnt_at < %(stale)s THEN excluded.abilities
                         ELSE known.abilities || excluded.abilities END,
        refusals = (known.refusals - CAST(%(works)s AS text[])) || excluded.refusals
    WHERE known.learnt_at < %(stale)s OR NOT known.abilities @> excluded.abilities
       OR NOT known.refusals @> excluded.refusals
"""


class MeasurementRecorder(RecorderSession):
    """The recorder's part for measurements."""

    __slots__ = ()

    async def add_quota(self, quota: Quota) -> None:
        """Write a registry's pull quota."""
        await self.partitions(quota.read_at)
        values = {
            "registry": quota.registry,
            "account": quota.account or "",
            "read_at": quota.read_at,
            "quota": storable.integer(quota.limit),
            "remaining": storable.integer(quota.remaining),
            "window": storable.integer(quota.window_seconds),
        }
        await self.run(_QUOTA, values)

    async def add_watch(self, look: WatchRow) -> WatchKey:
        """Write one round of the watch; its key."""
        await self.partitions(look.started_at)
        key = WatchKey(look.started_at, new_id())
        values = {
            "started_at": key.started_at,
            "id": key.id,
            "ended_at": look.ended_at,
            "looked": list(look.looked),
            "moved": list(look.moved),
            "failed": [failure.tag or "" for failure in look.failed],
            "messages": [failure.message for failure in look.failed],
            "requests": look.requests,
        }
        await self.run(_WATCH, values)
        return key

    async def extend_watch(self, key: WatchKey, ended_at: datetime, requests: int) -> None:
        """Add looks that found nothing to the row of an earlier one, until `ended_at`."""
        values = {
            "started_at": key.started_at,
            "id": key.id,
            "ended_at": ended_at,
            "requests": requests,
        }
        await self.run(_WATCH_ON, values)

    async def add_hook_events(
        self, kind: str, sender: str, pushes: Sequence[tuple[str, str | None]]
    ) -> None:
        """Write reported pushes (repository and tag), and wake who waits for them."""
        values = {
            "ids": [new_id() for _ in pushes],
            "received_at": utcnow(),
            "kind": kind,
            "sender": sender,
            "repositories": [repository for repository, _ in pushes],
            "tags": [tag for _, tag in pushes],
        }
        await self.run(_HOOKS, values)
        await self.run(_NOTIFY, {})

    async def new_hook_events(self) -> dict[UUID, str]:
        """The repositories of reports of the last day that nobody took note of yet."""
        rows = await self.rows(_NEW_HOOKS, {"since": utcnow() - timedelta(days=1)})
        return {row.id: row.repository for row in rows}

    async def hook_events_noted(self, sources: Mapping[UUID, str | None]) -> None:
        """Note which watched source each report names, if any."""
        await self.run(_WOKEN, {"ids": list(sources), "sources": list(sources.values())})

    async def hook_events_looked(self, source: str, at: datetime) -> None:
        """Note that a look at a source started after its reports."""
        await self.run(_LOOKED, {"source": source, "at": at})

    async def add_probes(self, pulls: Iterable[ProbePull]) -> None:
        """Write the pulls of a round, and hand over what the next sync has to repair.

        What the target lacks is uploaded without asking; a tag that was copied again since the
        round started is not handed over.
        """
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
            if pull.side == "target" and pull.lost is not None:
                lost = {"target": (await self.mirror(pull.mirror)).target_id, "blob": pull.lost}
                await self.run(_LOST, values[-1] | lost)
        if values:
            await self.run(_PROBE, values)

    async def add_pull_count(self, counted: PullCounted) -> None:
        """Write how often a repository has been pulled; the last count of a day is kept."""
        values = {
            "repository": await self.repository_named(counted.repository),
            "day": counted.day,
            "pulls": counted.pulls,
            "counted_at": counted.counted_at,
        }
        await self.run(_PULLS, values)

    async def add_audit(self, outcome: AuditOutcome) -> AuditWritten:
        """Write an audit and its findings, and hand over what the next sync has to repair.

        A tag that was copied again since the audit started is not handed over.
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

    async def learnt(
        self, places: Iterable[tuple[str, str]], at: datetime | None = None
    ) -> dict[tuple[str, str], tuple[dict[str, Any], dict[str, Refusal]]]:
        """Capabilities and refused optional requests of (registry, repository), in one query.

        Without what the registry refused more than 30 days ago, and what failed for the moment
        (5xx, a timeout) more than an hour ago. What is not known is left out.
        """
        wanted, now = list(places), at or utcnow()
        values = {"registries": [one[0] for one in wanted], "names": [one[1] for one in wanted]}
        found = {}
        for row in await self.rows(_LEARNT, values):
            fresh = row.learnt_at >= now - _REFUSALS_HOLD
            refusals = {name: Refusal.load(one) for name, one in row.refusals.items()}
            holding = {name: one for name, one in refusals.items() if one.until > now}
            abilities = {
                name: value
                for name, value in row.abilities.items()
                if value is True or (name in holding if name in refusals else fresh)
            }
            found[row.registry, row.name] = (abilities, holding)
        return found

    async def abilities(
        self, registry: str, repository: str, at: datetime | None = None
    ) -> dict[str, Any]:
        """What the registry was seen to do for this repository; empty when nothing is known."""
        found = await self.learnt([(registry, repository)], at)
        return found[registry, repository][0] if found else {}

    async def refusals(
        self, registry: str, repository: str, at: datetime | None = None
    ) -> dict[str, Refusal]:
        """The optional requests that failed for this repository, by name, as far as that holds."""
        found = await self.learnt([(registry, repository)], at)
        return found[registry, repository][1] if found else {}

    async def save_abilities(
        self,
        registry: str,
        repository: str,
        abilities: Mapping[str, str | int | bool],
        refusals: Mapping[str, Mapping[str, str]] | None = None,
        at: datetime | None = None,
    ) -> None:
        """Remember what the registry was seen to do for this repository.

        `refusals`: why optional requests failed, by name, as `Refusal.dump` gives it.
        """
        now = at or utcnow()
        values = {
            "repository": await self.repository(registry, repository),
            "abilities": json.dumps(dict(abilities)),
            "refusals": json.dumps({name: dict(one) for name, one in (refusals or {}).items()}),
            "works": [name for name, value in abilities.items() if value is True],
            "now": now,
            "stale": now - _REFUSALS_HOLD,
        }
        await self.run(_SAVE_ABILITIES, values)
