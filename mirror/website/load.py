"""From the record to what the site shows: a fixed number of bounded, read-only queries.

Figures come from the reports of mirror.history, which read roll-ups for closed days, so that three
years cost what a month costs. What is asked here besides is bounded by tags, days or a limit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from mirror.config import AlertRule, MirrorSettings
from mirror.history import SAYINGS, AlertDetails, figures, filled, read_report
from mirror.outcome import DropReason, Reason, RunStatus, Trigger, utcnow
from mirror.website.site_data import (
    Day,
    DelayFigures,
    Incident,
    LeftOut,
    Mirror,
    Run,
    Severity,
    Share,
    SiteRecord,
    SpeedFigures,
    Tag,
)
from mirror.website.sources import Text

WINDOW = timedelta(days=30)  # of success rates, delays and speed
STRIP = timedelta(days=90)
INCIDENTS = 100
# Users cannot notice these, and what they say (accounts, dates) is the operator's business.
PRIVATE_RULES = (AlertRule.QUOTA_LOW, AlertRule.CREDENTIAL_EXPIRING)

_COMPARED = sa.text("""
    SELECT mirror.name, full_run.ended_at
    FROM mirror CROSS JOIN LATERAL (
        SELECT ended_at FROM sync_run
        WHERE mirror_id = mirror.id AND status = 'succeeded' AND NOT dry_run AND complete
        ORDER BY ended_at DESC LIMIT 1
    ) full_run
""")
_LOOKED = sa.text("""
    SELECT name, max(ended_at) FROM watch_run CROSS JOIN unnest(looked) AS name
    WHERE started_at > CAST(:now AS timestamptz) - interval '1 day' AND started_at <= :now
    GROUP BY name
""")
_TAGS = sa.text("""
    SELECT mirror.name AS mirror, tag, source_digest, target_digest, pushed_at, detected_at,
           available_at, copied_digest = source_digest AS in_sync, size, platforms
    FROM tag_state JOIN mirror ON mirror.id = mirror_id
    WHERE mirror.name = ANY(:names) AND gone_at IS NULL AND source_digest IS NOT NULL
    ORDER BY mirror.name, coalesce(pushed_at, detected_at) DESC, tag DESC
""")
# The last arrival of a filtered tag tells what was left out; those are the minority of tags.
_LEFT_OUT = sa.text("""
    SELECT mirror.name AS mirror, state.tag, arrival.dropped
    FROM tag_state state JOIN mirror ON mirror.id = state.mirror_id
    CROSS JOIN LATERAL (
        SELECT dropped FROM tag_sync
        WHERE mirror_id = state.mirror_id AND tag = state.tag AND status = 'succeeded'
        ORDER BY ended_at DESC LIMIT 1
    ) arrival
    WHERE mirror.name = ANY(:names) AND gone_at IS NULL
      AND copied_digest = source_digest AND target_digest <> source_digest
      AND arrival.dropped IS NOT NULL
""")
_SPEED = sa.text("""
    SELECT mirror.name, day, sum(target_bytes) / nullif(sum(target_seconds), 0),
           sum(source_bytes) / nullif(sum(source_seconds), 0)
    FROM probes_since(:since) JOIN mirror ON mirror.id = mirror_id
    WHERE pairs > 0 GROUP BY mirror.name, day
""")
_PROBED = sa.text("""
    SELECT mirror.name, latest.probed_at FROM mirror CROSS JOIN LATERAL (
        SELECT probed_at FROM probe WHERE mirror_id = mirror.id ORDER BY probed_at DESC LIMIT 1
    ) latest
""")
_ALERTS = sa.text("""
    SELECT alert.id, alert.rule, alert.severity, mirror.name AS mirror, alert.opened_at,
           alert.closed_at, alert.details
    FROM alert LEFT JOIN mirror ON mirror.id = mirror_id
    WHERE alert.severity <> 'info' AND alert.rule <> ALL(:private)
    ORDER BY opened_at DESC, alert.id DESC LIMIT :limit
""")


def read_record(
    engine: sa.Engine, mirrors: Mapping[str, MirrorSettings], now: datetime | None = None
) -> SiteRecord:
    """What the record says of the configured mirrors, in their order.

    A mirror that the record has not heard of yet is there without figures. Raises DatabaseAway.
    """
    moment = now or utcnow()
    month = {report.mirror: report for report in _report(engine, WINDOW, moment)}
    strip = {report.mirror: report.days for report in _report(engine, STRIP, moment)}
    with engine.connect() as connection:
        compared = _pairs(connection.execute(_COMPARED))
        looked = _pairs(connection.execute(_LOOKED, {"now": moment}))
        probed = _pairs(connection.execute(_PROBED))
        since = (moment - STRIP).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        speeds: dict[str, dict[date, tuple[float, float]]] = defaultdict(dict)
        for name, day, at_mirror, at_source in connection.execute(_SPEED, {"since": since}):
            speeds[name][day] = at_mirror, at_source
        names = {"names": list(mirrors)}
        tags = _tags(connection.execute(_TAGS, names), connection.execute(_LEFT_OUT, names))
        asked = {"limit": INCIDENTS, "private": [rule.value for rule in PRIVATE_RULES]}
        incidents = tuple(map(_incident, connection.execute(_ALERTS, asked)))
    return SiteRecord(
        read_at=moment,
        mirrors=tuple(
            _mirror(
                settings,
                month.get(name),
                days=_days(strip.get(name, ()), speeds[name]),
                verified_at=compared.get(name),
                looked_at=looked.get(name),
                probed_at=probed.get(name),
                tags=tags[name],
            )
            for name, settings in mirrors.items()
        ),
        incidents=incidents,
    )


def _report(
    engine: sa.Engine, window: timedelta, now: datetime
) -> tuple[figures.MirrorReport, ...]:
    return read_report(engine, window, now=now).mirrors


def _pairs(rows: Iterable[Row[Any]]) -> dict[str, datetime]:
    return {row[0]: row[1] for row in rows}


def _mirror(
    settings: MirrorSettings,
    report: figures.MirrorReport | None,
    *,
    days: tuple[Day, ...],
    verified_at: datetime | None,
    looked_at: datetime | None,
    probed_at: datetime | None,
    tags: tuple[Tag, ...],
) -> Mirror:
    bare = Mirror(
        name=settings.name,
        source=settings.source,
        target=settings.target,
        every=settings.every,
        delay_goal=settings.delay_goal,
        looked_at=looked_at,
    )
    if report is None:
        return bare
    now, delay = report.status, report.delay
    runs = tuple(_run(run) for run in report.recent_runs if _counts(run))
    has_run = any(run.status is not RunStatus.RUNNING for run in runs)
    return Mirror(
        name=bare.name,
        source=bare.source,
        target=bare.target,
        every=bare.every,
        delay_goal=bare.delay_goal,
        verified_at=verified_at,
        looked_at=looked_at,
        # Before a run has ended, no tag has been looked for at the mirror.
        synced=now.in_sync if has_run else None,
        behind=now.behind if has_run else None,
        behind_since=utcnow() - now.oldest_lag if now.oldest_lag is not None else None,
        tag_success=Share(report.tags.succeeded, report.tags.counted),
        run_success=Share(report.runs.succeeded, report.runs.counted),
        delay=_delay(delay),
        speed=_speed(report.pulls, probed_at),
        days=days,
        runs=runs,
        tags=tags,
    )


def _counts(run: figures.Run) -> bool:
    return not run.dry_run and run.reason != Reason.LOCK


def _run(run: figures.Run) -> Run:
    return Run(
        started_at=run.started_at,
        ended_at=run.ended_at,
        trigger=Trigger(run.trigger),
        status=RunStatus(run.status),
        copied=run.tags_copied,
        failed=run.tags_failed,
        bytes_copied=run.bytes_copied,
        reason=Reason(run.reason) if run.reason else None,
    )


def _delay(delay: figures.Delay) -> DelayFigures | None:
    if not delay.samples or delay.p50 is None or delay.p95 is None or delay.max is None:
        return None
    return DelayFigures(delay.p50, delay.p95, delay.max, delay.samples)


def _speed(pulls: figures.Pulls, probed_at: datetime | None) -> SpeedFigures | None:
    if pulls.bytes_per_second is None or probed_at is None:
        return None
    failures = Share(pulls.pulls - pulls.failed, pulls.pulls)
    return SpeedFigures(pulls.bytes_per_second, pulls.source_bytes_per_second, failures, probed_at)


def _days(
    days: tuple[figures.Day, ...], speeds: Mapping[date, tuple[float, float]]
) -> tuple[Day, ...]:
    by_day = {day.day: day for day in days}
    made = []
    for at in sorted({*by_day, *speeds}):
        day = by_day.get(at, figures.Day(at))
        mirror, source = speeds.get(at, (None, None))
        runs = Share(day.runs.succeeded, day.runs.counted)
        made.append(Day(at, runs, day.delay.p50, day.delay.p95, mirror, source))
    return tuple(made)


def _tags(rows: Iterable[Row[Any]], left_out: Iterable[Row[Any]]) -> dict[str, tuple[Tag, ...]]:
    parts = {
        (row.mirror, row.tag): tuple(
            LeftOut(DropReason(part["reason"]), part.get("platform"), part["digest"])
            for part in row.dropped
        )
        for row in left_out
    }
    tags: dict[str, list[Tag]] = defaultdict(list)
    for row in rows:
        tags[row.mirror].append(
            Tag(
                name=row.tag,
                source_digest=row.source_digest,
                target_digest=row.target_digest,
                pushed_at=row.pushed_at,
                available_at=row.available_at,
                in_sync=bool(row.in_sync),
                size=row.size,
                platforms=tuple(row.platforms or ()),
                left_out=parts.get((row.mirror, row.tag), ()),
            )
        )
    return defaultdict(tuple, {name: tuple(its) for name, its in tags.items()})


def _incident(row: Row[Any]) -> Incident:
    details = AlertDetails.model_validate(row.details)
    said = filled(SAYINGS[AlertRule(row.rule)].holds, details.facts, max(len(details.tags), 1))
    return Incident(
        id=str(row.id),
        mirror=row.mirror,
        severity=Severity(row.severity),
        kind=row.rule,
        summary=Text(zh=said.zh, en=said.en),
        opened_at=row.opened_at,
        resolved_at=row.closed_at,
    )
