"""From the history to what the site shows: a fixed number of bounded, read-only queries.

Figures come from the reports of mirror.history, which read roll-ups for closed days, so that three
years cost what a month costs. The other queries are bounded by tags, days or a limit, and days and
tags are read only of the mirrors that are shown whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from mirror.config import KNOWN_RULES, AlertRule, MirrorSettings, Severity
from mirror.history import (
    SAYINGS,
    AlertDetails,
    DayStats,
    MirrorReport,
    MirrorStatus,
    Part,
    filled,
    read_days,
    read_report,
)
from mirror.outcome import Dropped, DropReason, utcnow
from mirror.website.site_data import WHOLE, Incident, SiteData, SiteDay, SiteMirror, SiteTag
from mirror.website.sources import Text

WINDOW = timedelta(days=30)  # of success rates, delays and speed
STRIP = timedelta(days=90)
INCIDENTS = 100
# Users cannot notice these, and what they say (accounts, dates) is the operator's business.
PRIVATE_RULES = (AlertRule.QUOTA_LOW, AlertRule.CREDENTIAL_EXPIRING)

_NEVER_RAN = MirrorReport(
    MirrorStatus(
        mirror="",
        source="",
        target="",
        every=timedelta(),
        delay_goal=timedelta(),
        tags=0,
        in_sync=0,
        behind=0,
        failing=0,
        held=0,
        gone=0,
        oldest_lag=None,
        last_arrival_at=None,
        last_success_at=None,
    )
)

_VERIFIED = sa.text("""
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
# The last arrival of a filtered tag has what was left out; those are the minority of tags.
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
    WHERE pairs > 0 AND mirror.name = ANY(:names) GROUP BY mirror.name, day
""")
_ALERTS = sa.text("""
    SELECT alert.id, alert.rule, alert.severity, mirror.name AS mirror, alert.opened_at,
           alert.closed_at, alert.details
    FROM alert LEFT JOIN mirror ON mirror.id = mirror_id
    WHERE alert.severity <> 'info' AND alert.rule = ANY(:rules)
    ORDER BY opened_at DESC, alert.id DESC LIMIT :limit
""")


def read_site_data(engine: sa.Engine, mirrors: Mapping[str, MirrorSettings]) -> SiteData:
    """What the history says of the configured mirrors, in their order.

    A mirror that the history does not know yet is there without figures. Raises DatabaseAway.
    """
    now = utcnow()
    names = list(mirrors)[:WHOLE]
    with ThreadPoolExecutor(1) as executor:
        reading = executor.submit(_read_shown, engine, names, now)
        reports = read_report(engine, WINDOW, now=now, parts=Part.RUNS).mirrors
        shown = reading.result()
    month = {report.mirror: report for report in reports}
    return SiteData(
        read_at=now,
        mirrors=tuple(
            SiteMirror(
                _configured(settings, month.get(name, _NEVER_RAN)),
                verified_at=shown.verified.get(name),
                looked_at=shown.looked.get(name),
                days=shown.days.get(name, ()),
                tags=shown.tags.get(name, ()),
            )
            for name, settings in mirrors.items()
        ),
        incidents=shown.incidents,
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is shown besides a report, by mirror."""

    verified: Mapping[str, datetime]
    looked: Mapping[str, datetime]
    days: Mapping[str, tuple[SiteDay, ...]]
    tags: Mapping[str, tuple[SiteTag, ...]]
    incidents: tuple[Incident, ...]


def _read_shown(engine: sa.Engine, names: Sequence[str], now: datetime) -> _Shown:
    since = (now - STRIP).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    shown = {"names": names, "since": since}
    public = {"limit": INCIDENTS, "rules": list(KNOWN_RULES - {*PRIVATE_RULES})}
    with engine.connect() as connection:
        tags = _tags(
            connection.execute(_TAGS, shown).all(), connection.execute(_LEFT_OUT, shown).all()
        )
        verified = _pairs(connection.execute(_VERIFIED))
        looked = _pairs(connection.execute(_LOOKED, {"now": now}))
        speeds: dict[str, dict[date, tuple[float | None, float | None]]] = defaultdict(dict)
        for name, day, at_mirror, at_source in connection.execute(_SPEED, shown):
            speeds[name][day] = at_mirror, at_source
        incidents = tuple(map(_incident, connection.execute(_ALERTS, public)))
    strip = read_days(engine, STRIP, names, now)
    days = {name: _days(strip.get(name, ()), speeds[name]) for name in names}
    return _Shown(verified, looked, days, tags, incidents)


def _pairs(rows: Iterable[Row[Any]]) -> dict[str, datetime]:
    return {row[0]: row[1] for row in rows}


def _configured(settings: MirrorSettings, report: MirrorReport) -> MirrorReport:
    """The report with what mirrors.yaml says now; the history has it as of the last run."""
    status = replace(
        report.status,
        mirror=settings.name,
        source=settings.source,
        target=settings.target,
        every=settings.every,
        delay_goal=settings.delay_goal,
    )
    return replace(report, status=status)


def _days(
    days: tuple[DayStats, ...], speeds: Mapping[date, tuple[float | None, float | None]]
) -> tuple[SiteDay, ...]:
    by_day = {day.day: day for day in days}
    return tuple(
        SiteDay(by_day.get(day, DayStats(day)), *speeds.get(day, (None, None)))
        for day in sorted({*by_day, *speeds})
    )


def _tags(rows: Iterable[Row[Any]], left_out: Iterable[Row[Any]]) -> dict[str, tuple[SiteTag, ...]]:
    parts = {
        (row.mirror, row.tag): tuple(
            Dropped(
                part["digest"], part["media_type"], DropReason(part["reason"]), part["platform"]
            )
            for part in row.dropped
        )
        for row in left_out
    }
    tags: dict[str, list[SiteTag]] = defaultdict(list)
    for row in rows:
        tags[row.mirror].append(
            SiteTag(
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
    return {name: tuple(its) for name, its in tags.items()}


def _incident(row: Row[Any]) -> Incident:
    details = AlertDetails.model_validate(row.details)
    summary = filled(SAYINGS[AlertRule(row.rule)].holds, details.facts, max(len(details.tags), 1))
    return Incident(
        id=str(row.id),
        # An alert about a registry names the mirrors that use it.
        mirror=row.mirror or (details.mirrors[0] if len(details.mirrors) == 1 else None),
        severity=Severity(row.severity),
        kind=row.rule,
        summary=Text(zh=summary.zh, en=summary.en),
        opened_at=row.opened_at,
        resolved_at=row.closed_at,
    )
