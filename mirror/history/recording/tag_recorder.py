"""Writing tag records: each starts and ends in one statement, which is one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from mirror.history.database import one_line
from mirror.history.recording import storable
from mirror.history.recording.recorder_session import RecorderSession
from mirror.history.recording.rows import delay
from mirror.outcome import (
    Change,
    CopyOutcome,
    Dropped,
    Reason,
    RetryRule,
    TagStatus,
    Verification,
    utcnow,
)

_RECORD = """
    INSERT INTO tag_sync AS record (
        run_id, run_started_at, tag, mirror_id, target_tag, kind, status, source_digest,
        target_digest, previous_digest, pushed_at, detected_at, started_at, ended_at, available_at,
        delay_seconds, delay_from, attempts, blobs_copied, blobs_mounted, blobs_reused,
        bytes_copied, referrers, dropped, reason, message)
    VALUES (
        CASE WHEN holds(%(token)s) THEN CAST(%(run)s AS uuid) END, %(run_started_at)s, %(tag)s,
        %(mirror)s, %(target_tag)s, %(kind)s, %(status)s, %(digest)s, %(target_digest)s,
        %(previous)s, %(pushed_at)s, %(detected_at)s, %(started_at)s, %(ended_at)s,
        %(available_at)s,
        %(delay_seconds)s, %(delay_from)s, %(attempts)s, %(copied)s, %(mounted)s, %(reused)s,
        %(bytes)s, %(referrers)s, CAST(%(dropped)s AS jsonb), %(reason)s, %(message)s)
    ON CONFLICT (run_id, run_started_at, tag) DO UPDATE SET
        status = excluded.status, target_digest = excluded.target_digest,
        ended_at = excluded.ended_at, available_at = excluded.available_at,
        delay_seconds = excluded.delay_seconds, delay_from = excluded.delay_from,
        attempts = excluded.attempts, blobs_copied = excluded.blobs_copied,
        blobs_mounted = excluded.blobs_mounted, blobs_reused = excluded.blobs_reused,
        bytes_copied = excluded.bytes_copied, referrers = excluded.referrers,
        dropped = excluded.dropped, reason = excluded.reason, message = excluded.message
"""
_PLACED = """
    INSERT INTO blob_presence (repository_id, digest, size, placed_at)
    SELECT %(repository)s, digest, size, %(ended_at)s
    FROM unnest(CAST(%(blobs)s AS text[]), CAST(%(sizes)s AS bigint[])) AS placed (digest, size)
    ON CONFLICT (repository_id, digest) DO NOTHING
"""
_LOST = """
    DELETE FROM blob_presence
    WHERE repository_id = %(repository)s AND digest = ANY(CAST(%(lost)s AS text[]))
      AND digest <> ALL(CAST(%(blobs)s AS text[]))
"""
_REPAIRED = """
    UPDATE audit_finding SET repaired_at = %(available_at)s FROM audit_run audit
    WHERE repaired_at IS NULL AND audit_finding.tag = %(tag)s AND kind <> 'wrong_content'
      AND audit.id = audit_id AND audit.mirror_id = %(mirror)s
"""
_ARRIVED = f"""
    WITH record AS ({_RECORD}), blobs AS ({_PLACED}), lost AS ({_LOST}), repaired AS ({_REPAIRED})
    INSERT INTO tag_state AS state (mirror_id, tag, source_digest, copied_digest, target_digest,
                                    pushed_at, detected_at, available_at, dropped)
    VALUES (%(mirror)s, %(tag)s, %(digest)s, %(digest)s, %(target_digest)s, %(pushed_at)s,
        %(detected_at)s,
            %(available_at)s, CAST(%(dropped)s AS jsonb))
    ON CONFLICT (mirror_id, tag) DO UPDATE SET
        copied_digest = excluded.copied_digest, target_digest = excluded.target_digest,
        available_at = excluded.available_at, dropped = excluded.dropped,
        attempts = 0, next_attempt_at = NULL,
        failed_since = NULL, reason = NULL, message = NULL, held = false, suspect = NULL
"""  # noqa: S608 - constants
_FAILED = f"""
    WITH record AS ({_RECORD}), blobs AS ({_PLACED}), lost AS ({_LOST})
    INSERT INTO tag_state AS state (mirror_id, tag, source_digest, pushed_at, detected_at, attempts,
                                    next_attempt_at, failed_since, reason, message)
    VALUES (%(mirror)s, %(tag)s, %(digest)s, %(pushed_at)s, %(detected_at)s, 1,
            CAST(%(ended_at)s AS timestamptz) + CASE WHEN 1 <= CAST(%(times)s AS integer)
                THEN CAST(%(wait)s AS interval) ELSE CAST(%(then_every)s AS interval) END,
            %(ended_at)s, %(reason)s, %(message)s)
    ON CONFLICT (mirror_id, tag) DO UPDATE SET
        attempts = state.attempts + 1,
        next_attempt_at = CAST(%(ended_at)s AS timestamptz) + CASE WHEN state.attempts + 1 <=
            %(times)s
            THEN CAST(%(wait)s AS interval) ELSE CAST(%(then_every)s AS interval) END,
        failed_since = coalesce(state.failed_since, excluded.failed_since),
        reason = excluded.reason, message = excluded.message,
        suspect = CASE WHEN %(unverified)s AND state.copied_digest = excluded.source_digest
            THEN coalesce(state.suspect, 'missing') ELSE state.suspect END
"""  # noqa: S608 - constants
_HELD = f"""
    WITH record AS ({_RECORD})
    UPDATE tag_state SET held = true,
        message = %(message)s WHERE mirror_id = %(mirror)s AND tag = %(tag)s
"""  # noqa: S608 - constants
_WAITING = f"""
    WITH record AS ({_RECORD})
    UPDATE tag_state SET next_attempt_at = %(retry_at)s,
        message = %(message)s WHERE mirror_id = %(mirror)s AND tag = %(tag)s
"""  # noqa: S608 - constants
_DELETED = f"""
    WITH record AS ({_RECORD}) DELETE FROM tag_state WHERE mirror_id = %(mirror)s AND tag = %(tag)s
"""  # noqa: S608 - constants
_HOLDINGS = """
    SELECT digest FROM blob_presence WHERE repository_id = %(repository)s LIMIT %(limit)s
"""
_HOLDERS = """
    SELECT DISTINCT ON (digest) digest, repository.name
    FROM blob_presence JOIN repository ON repository.id = repository_id
    WHERE repository.registry = %(registry)s AND digest = ANY(%(digests)s)
    ORDER BY digest, repository.name IS DISTINCT FROM %(own)s, placed_at DESC
"""
_DROPPED_DIGESTS = """
    SELECT DISTINCT part ->> 'digest'
    FROM tag_sync, jsonb_array_elements(dropped) AS part
    WHERE mirror_id = %(mirror)s AND dropped IS NOT NULL
"""
_ELSEWHERE = """
    SELECT EXISTS (
        SELECT FROM repository
        WHERE registry = %(registry)s AND id <> %(repository)s
          AND EXISTS (SELECT FROM blob_presence WHERE repository_id = repository.id)
    )
"""


class TagRecorder(RecorderSession):
    """The recorder's part for tags and their blobs."""

    __slots__ = ()

    async def tag_started(
        self, run_id: str, mirror: str, change: Change, at: datetime | None = None
    ) -> None:
        """Write that a run has started with a tag."""
        values = await self._record(run_id, mirror, change, TagStatus.RUNNING, at or utcnow())
        await self._write(_RECORD, values)

    async def tag_ended(
        self,
        run_id: str,
        mirror: str,
        outcome: CopyOutcome,
        verification: Verification | None,
        retry: RetryRule | None = None,
        repository: tuple[str, str] | None = None,
    ) -> None:
        """Write how a tag ended: its record, its present state, and the blobs now at the target.

        It is available, and its record `succeeded`, only if the verification found it. A failure
        sets when later runs may try again. repository is the (registry, path) of the blobs: the
        mirror's target if omitted.
        """
        retry = retry or RetryRule()
        ref = await self.mirror(mirror)
        failure = outcome.failure or (verification.failure if verification else None)
        arrived = failure is None and verification is not None
        change = _plausible(outcome.change)
        ended_at = verification.verified_at if verification else outcome.ended_at
        status = TagStatus.SUCCEEDED if arrived else TagStatus.FAILED
        values = await self._record(run_id, mirror, change, status, outcome.started_at)
        seconds, counted_from = (
            delay(change, ended_at, ref.followed_since) if arrived else (None, None)
        )
        values |= {
            "ended_at": ended_at,
            "available_at": ended_at if arrived else None,
            "delay_seconds": seconds,
            "delay_from": counted_from,
            "target_digest": outcome.target_digest,
            "attempts": change.attempt - 1 + outcome.attempts,
            "copied": outcome.blobs.copied,
            "mounted": outcome.blobs.mounted,
            "reused": outcome.blobs.reused,
            "bytes": outcome.bytes_copied,
            "referrers": outcome.referrers,
            "dropped": _dropped(outcome.dropped),
            "reason": failure.reason if failure else None,
            "message": failure.message if failure else None,
            "repository": await self.repository(*repository) if repository else ref.target_id,
            "blobs": [blob.digest for blob in outcome.placed],
            "sizes": [blob.size for blob in outcome.placed],
            "lost": list(outcome.lost),
        }
        rule = {"times": retry.times, "wait": retry.wait, "then_every": retry.then_every}
        # What was believed to be there is not: it has to be copied, whatever its tag says.
        rule["unverified"] = verification is not None
        await self._write(_ARRIVED if arrived else _FAILED, values | rule)

    async def tag_skipped(
        self,
        run_id: str,
        mirror: str,
        change: Change,
        status: TagStatus,
        message: str,
        at: datetime | None = None,
        *,
        retry_at: datetime | None = None,
    ) -> None:
        """Write a tag that a run skipped (waiting, held) or deleted.

        `retry_at`: later runs leave a waiting tag alone until then; that is no failed attempt.
        """
        at = at or utcnow()
        values = await self._record(run_id, mirror, change, status, at)
        values |= {"ended_at": at, "message": message, "retry_at": retry_at}
        match status:
            case TagStatus.HELD:
                await self._write(_HELD, values)
            case TagStatus.DELETED:
                await self._write(_DELETED, values)
            case TagStatus.WAITING if retry_at is not None:
                await self._write(_WAITING, values)
            case _:
                await self._write(_RECORD, values)

    async def _write(self, statement: str, values: dict[str, Any]) -> None:
        """Write a tag's record; one without the details if the database refuses a value."""
        try:
            await self.run(statement, values)
        except psycopg.DataError as error:
            plain = {**values, **dict.fromkeys(_DETAILS), "blobs": [], "sizes": [], "lost": []}
            failed = {
                "status": TagStatus.FAILED,
                "reason": Reason.INTERNAL,
                "message": f"the history refuses a value of this tag: {one_line(error)}",
                "ended_at": values["ended_at"] or values["started_at"],
            }
            await self.run(_RECORD, plain | failed)

    async def holdings(
        self, registry: str, repository: str, most: int | None = None
    ) -> set[str] | None:
        """Digests of the blobs that a repository is known to hold; None if more than `most`."""
        limit = None if most is None else most + 1
        values = {"repository": await self.repository(registry, repository), "limit": limit}
        rows = await self.rows(_HOLDINGS, values)
        return None if most is not None and len(rows) > most else {row[0] for row in rows}

    async def holds_elsewhere(self, registry: str, repository: str) -> bool:
        """True if other repositories of the registry are known to hold blobs at all."""
        values = {"registry": registry, "repository": await self.repository(registry, repository)}
        return bool((await self.rows(_ELSEWHERE, values))[0][0])

    async def holders(
        self, registry: str, digests: Iterable[str], own: str | None = None
    ) -> dict[str, str]:
        """By digest, a repository of the registry that holds the blob: `own`, or the last one."""
        values = {"registry": registry, "digests": list(digests), "own": own}
        return {row[0]: row[1] for row in await self.rows(_HOLDERS, values)}

    async def dropped_digests(self, mirror: str) -> frozenset[str]:
        """Digests of everything left out at the mirror's target, as configured or refused by it."""
        ref = await self.mirror(mirror)
        return frozenset(row[0] for row in await self.rows(_DROPPED_DIGESTS, {"mirror": ref.id}))

    async def _record(
        self, run_id: str, mirror: str, change: Change, status: TagStatus, at: datetime
    ) -> dict[str, Any]:
        """The parameters of _RECORD for a tag of which only the change is known."""
        ref, change = await self.mirror(mirror), _plausible(change)
        return {
            "run": UUID(run_id),
            "token": self.token(ref),
            "run_started_at": await self.started_at(run_id),
            "tag": storable.name(change.tag),
            "mirror": ref.id,
            "target_tag": storable.name(change.target_tag),
            "kind": change.kind,
            "status": status,
            "digest": storable.name(change.digest),
            "previous": change.previous_digest and storable.name(change.previous_digest),
            "pushed_at": change.pushed_at,
            "detected_at": change.detected_at,
            "started_at": at,
            "attempts": change.attempt,
            **dict.fromkeys(_UNKNOWN_YET),
            **dict.fromkeys(_NONE_YET, 0),
        }


_MOST_DROPPED = 1_000  # parts of one image that are named
_DETAILS = ("target_digest", "previous", "available_at", "delay_seconds", "delay_from", "dropped")
_UNKNOWN_YET = (
    "target_digest",
    "ended_at",
    "available_at",
    "delay_seconds",
    "delay_from",
    "dropped",
    "reason",
    "message",
)
_NONE_YET = ("copied", "mounted", "reused", "bytes", "referrers")


def _plausible(change: Change) -> Change:
    pushed = storable.push_time(change.pushed_at, utcnow())
    return change if pushed == change.pushed_at else replace(change, pushed_at=pushed)


def _dropped(parts: tuple[Dropped, ...]) -> str | None:
    if not parts:
        return None
    return json.dumps(
        [
            {
                "digest": storable.name(part.digest),
                "media_type": storable.name(part.media_type),
                "reason": part.reason,
                "platform": part.platform and storable.name(part.platform),
            }
            for part in parts[:_MOST_DROPPED]
        ]
    )
