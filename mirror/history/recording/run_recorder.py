"""Writing runs: start, discovery, end, and closing those that were killed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from mirror.history.locks import CLOSE
from mirror.history.recording import storable
from mirror.history.recording.recorder_session import RecorderSession
from mirror.history.recording.rows import new_id
from mirror.outcome import (
    ChangeKind,
    Discovery,
    KnownTag,
    Plan,
    RunOutcome,
    RunStatus,
    TagFailure,
    Trigger,
    utcnow,
)

_BEGIN = """
    WITH lock AS (
        UPDATE target_lock SET run_id = %(id)s, flow_run_id = %(flow_run_id)s
        WHERE token = %(token)s
    )
    INSERT INTO sync_run (id, started_at, mirror_id, trigger, complete, dry_run, flow_run_id,
                          status)
    VALUES (CASE WHEN holds(%(token)s) THEN CAST(%(id)s AS uuid) END, %(at)s, %(mirror)s,
        %(trigger)s, %(complete)s, %(dry_run)s, %(flow_run_id)s, 'running')
"""
_KNOWN = """
    SELECT tag, source_digest, copied_digest, target_digest, pushed_at, detected_at, attempts,
           next_attempt_at, gone_at, suspect
    FROM tag_state WHERE mirror_id = %(mirror)s
"""
_SEEN = """
    INSERT INTO tag_state AS state (mirror_id, tag, source_digest, pushed_at, detected_at,
                                    copied_digest, target_digest, size, platforms)
    SELECT %(mirror)s, tag, digest, pushed, detected, copied, target, size,
           string_to_array(platforms, ' ')
    FROM unnest(
        CAST(%(tags)s AS text[]), CAST(%(digests)s AS text[]), CAST(%(pushed)s AS timestamptz[]),
        CAST(%(detected)s AS timestamptz[]), CAST(%(copied)s AS text[]), CAST(%(target)s AS text[]),
        CAST(%(sizes)s AS bigint[]), CAST(%(platforms)s AS text[])
    ) AS seen (tag, digest, pushed, detected, copied, target, size, platforms)
    WHERE holds(%(token)s)
    ON CONFLICT (mirror_id, tag) DO UPDATE SET
        detected_at = CASE WHEN state.source_digest = excluded.source_digest
            AND excluded.copied_digest IS NULL THEN state.detected_at ELSE excluded.detected_at END,
        attempts = CASE WHEN state.source_digest = excluded.source_digest
            AND excluded.copied_digest IS NULL THEN state.attempts ELSE 0 END,
        next_attempt_at = CASE WHEN state.source_digest = excluded.source_digest
            AND excluded.copied_digest IS NULL THEN state.next_attempt_at ELSE NULL END,
        failed_since = CASE WHEN state.source_digest = excluded.source_digest
            AND excluded.copied_digest IS NULL THEN state.failed_since ELSE NULL END,
        reason = CASE WHEN state.source_digest = excluded.source_digest
            AND excluded.copied_digest IS NULL THEN state.reason ELSE NULL END,
        message = CASE WHEN state.source_digest = excluded.source_digest
            AND excluded.copied_digest IS NULL THEN state.message ELSE NULL END,
        held = CASE WHEN state.source_digest = excluded.source_digest
            AND excluded.copied_digest IS NULL THEN state.held ELSE false END,
        source_digest = excluded.source_digest,
        pushed_at = coalesce(excluded.pushed_at, CASE
            WHEN state.source_digest = excluded.source_digest THEN state.pushed_at END),
        available_at = CASE WHEN excluded.copied_digest IS NULL THEN state.available_at END,
        dropped = CASE WHEN excluded.copied_digest IS NULL THEN state.dropped END,
        copied_digest = coalesce(excluded.copied_digest, state.copied_digest),
        target_digest = coalesce(excluded.target_digest, state.target_digest),
        size = CASE WHEN state.source_digest = excluded.source_digest
            THEN coalesce(excluded.size, state.size) ELSE excluded.size END,
        platforms = CASE WHEN state.source_digest = excluded.source_digest
            THEN coalesce(excluded.platforms, state.platforms) ELSE excluded.platforms END,
        gone_at = NULL
"""
_GONE = """
    UPDATE tag_state SET gone_at = %(now)s
    WHERE mirror_id = %(mirror)s AND tag = ANY(%(tags)s) AND gone_at IS NULL
      AND holds(%(token)s)
"""
_END = """
    WITH ended AS (
        UPDATE sync_run SET
            status = %(status)s, ended_at = %(now)s, tags_discovered = %(discovered)s,
            tags_changed = %(changed)s, tags_copied = %(copied)s, tags_failed = %(failed)s,
            blobs_copied = %(blobs_copied)s, blobs_mounted = %(blobs_mounted)s,
            blobs_reused = %(blobs_reused)s, bytes_copied = %(bytes_copied)s,
            requests_source = %(requests_source)s, requests_target = %(requests_target)s,
            seconds_discover = %(discover)s, seconds_diff = %(diff)s, seconds_copy = %(copy)s,
            seconds_verify = %(verify)s, seconds_total = %(total)s, reason = %(reason)s,
            message = %(message)s, warnings = %(warnings)s
        WHERE id = %(id)s AND started_at = %(started_at)s AND holds(%(token)s)
        RETURNING mirror_id
    ), unfinished AS (
        UPDATE tag_sync SET status = 'abandoned', reason = 'abandoned', ended_at = %(now)s,
            message = 'the run ended while this tag was being copied'
        WHERE run_id = %(id)s AND run_started_at = %(started_at)s AND status = 'running'
    )
    INSERT INTO tag_sync (run_id, run_started_at, tag, mirror_id, target_tag, status, started_at,
                          ended_at, reason, message)
    SELECT %(id)s, %(started_at)s, error.tag, mirror_id, error.tag, 'failed', %(now)s, %(now)s,
           error.reason, error.message
    FROM ended, unnest(CAST(%(tags)s AS text[]), CAST(%(reasons)s AS text[]),
        CAST(%(messages)s AS text[]))
        AS error (tag, reason, message)
    ON CONFLICT DO NOTHING
"""


class RunRecorder(RecorderSession):
    """The recorder's part for runs."""

    __slots__ = ()

    async def begin_run(
        self,
        mirror: str,
        trigger: Trigger,
        full: bool,
        dry_run: bool = False,
        flow_run_id: str | None = None,
        at: datetime | None = None,
    ) -> str:
        """Write the row of a run that starts; committed on return. Returns its id."""
        at = at or utcnow()
        ref = await self.mirror(mirror)
        await self.partitions(at)
        run = new_id()
        values = {
            "id": run,
            "at": at,
            "mirror": ref.id,
            "trigger": trigger,
            "complete": full,
            "dry_run": dry_run,
            "flow_run_id": flow_run_id,
            "token": self.token(ref),
        }
        await self.run(_BEGIN, values)
        self.runs[run] = at
        return str(run)

    async def close_abandoned(
        self, mirror: str, except_run: str | None, at: datetime | None = None
    ) -> tuple[str, ...]:
        """Close runs left `running` by a process that died, and their tags. Returns their ids.

        Only those that certainly do not work any more: see dead_runs.
        """
        ref = await self.mirror(mirror)
        values = {
            "mirror": ref.id,
            "held": ref.target in self.locks,
            "except_run": UUID(except_run) if except_run else UUID(int=0),
            "now": at or utcnow(),
        }
        return tuple(str(row.id) for row in await self.rows(CLOSE, values))

    async def known_tags(self, mirror: str) -> dict[str, KnownTag]:
        """The present state of a mirror's tags, by name."""
        ref = await self.mirror(mirror)
        rows = await self.rows(_KNOWN, {"mirror": ref.id})
        known = {row[0]: KnownTag(*row) for row in rows}
        for row in rows:
            if row.suspect is not None:
                known[row.tag] = replace(known[row.tag], suspect=ChangeKind(row.suspect))
        self.known[mirror] = known
        return dict(known)

    async def discovered(
        self,
        run_id: str,
        mirror: str,
        discovery: Discovery,
        plan: Plan,
        at: datetime | None = None,
    ) -> None:
        """Update tag_state to what was discovered on both sides.

        Only tags that differ from the last known_tags are written: nothing for an unchanged
        repository of any size.
        """
        ref, now = await self.mirror(mirror), at or utcnow()
        known = self.known.get(mirror)
        if known is None:
            known = await self.known_tags(mirror)
        planned = {change.tag: change for change in (*plan.changes, *plan.held, *plan.adopted)}
        adopted = {change.tag: change for change in plan.adopted}
        target = discovery.target or {}
        tags = [
            tag
            if tag.pushed_at is None
            else replace(tag, pushed_at=storable.push_time(tag.pushed_at, now))
            for tag in discovery.tags
        ]
        news = [
            tag
            for tag in tags
            if (old := known.get(tag.name)) is None
            or old.source_digest != tag.digest
            or old.gone_at is not None
            or (old.pushed_at is None and tag.pushed_at is not None)
            or tag.name in adopted
        ]
        seen = []
        for tag in news:
            change, taken = planned.get(tag.name), adopted.get(tag.name)
            seen.append(
                (
                    tag.name,
                    tag.digest,
                    tag.pushed_at,
                    change.detected_at if change else now,
                    taken.digest if taken else None,
                    (target.get(taken.target_tag) or taken.digest) if taken else None,
                    storable.size(tag.size),
                    storable.platforms(tag.platforms),
                )
            )
        if seen:
            names = (
                *("tags", "digests", "pushed", "detected", "copied", "target", "sizes"),
                "platforms",
            )
            held = {"mirror": ref.id, "token": self.token(ref)}

            async def write(rows: list[tuple[Any, ...]]) -> None:
                columns = [list(column) for column in zip(*rows, strict=True)]
                await self.run(_SEEN, {**held, **dict(zip(names, columns, strict=True))})

            try:
                await write(seen)
            except psycopg.DataError:
                # What the database refuses concerns that tag alone: its copy says so.
                for each in seen:
                    with suppress(psycopg.DataError):
                        await write([each])
        if plan.gone:
            gone = {"tags": list(plan.gone), "now": now}
            await self.run(_GONE, {"mirror": ref.id, "token": self.token(ref), **gone})

    async def end_run(self, outcome: RunOutcome, at: datetime | None = None) -> None:
        """Write how a run ended, and a row for each failed tag that has none."""
        reason, message = _of_the_run(outcome)
        tags = [error for error in outcome.errors if error.tag is not None]
        seconds, tally, blobs = outcome.seconds, outcome.tags, outcome.blobs
        values = {
            "id": UUID(outcome.run_id),
            "token": self.token(await self.mirror(outcome.mirror)),
            "started_at": await self.started_at(outcome.run_id),
            "now": at or utcnow(),
            "status": outcome.status,
            "discovered": tally.discovered,
            "changed": tally.changed,
            "copied": tally.copied,
            "failed": tally.failed,
            "blobs_copied": blobs.copied,
            "blobs_mounted": blobs.mounted,
            "blobs_reused": blobs.reused,
            "bytes_copied": outcome.bytes_copied,
            "requests_source": outcome.requests.source,
            "requests_target": outcome.requests.target,
            "discover": seconds.discover,
            "diff": seconds.diff,
            "copy": seconds.copy,
            "verify": seconds.verify,
            "total": seconds.total,
            "reason": reason,
            "message": message,
            "warnings": list(outcome.warnings),
            "tags": [error.tag for error in tags],
            "reasons": [error.reason for error in tags],
            "messages": [error.message for error in tags],
        }
        await self.run(_END, values)
        self.runs.pop(UUID(outcome.run_id), None)
        self.known.pop(outcome.mirror, None)


def _of_the_run(outcome: RunOutcome) -> tuple[str | None, str | None]:
    """Why a run failed as a whole: an error without a tag, else the first."""
    if outcome.status is RunStatus.SUCCEEDED or not outcome.errors:
        return None, None

    def without_tag(error: TagFailure) -> bool:
        return error.tag is None

    whole = next(filter(without_tag, outcome.errors), None)
    if whole is None and outcome.status is not RunStatus.FAILED:
        return None, None
    error = whole or outcome.errors[0]
    return error.reason, error.message
