"""What programs read: status.json (schema in site/schema), the digest maps and the tag index."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any

from mirror.history import DelayStats, PullStats, Runs, Tags
from mirror.website.health import SourceState, health_of, recommended
from mirror.website.site_data import SiteData, SiteMirror, SiteTag
from mirror.website.tags import ImageTags


def status_json(data: SiteData, states: tuple[SourceState, ...]) -> str:
    """The public status, as site/schema/status.schema.json describes it."""
    document = {
        "generated_at": rfc3339(data.read_at),
        "recommended": {
            "china": recommended(states, in_china=True).source.id,
            "elsewhere": recommended(states, in_china=False).source.id,
        },
        "sources": [
            {
                "id": state.source.id,
                "image": state.source.image,
                "mirror": state.mirror.name if state.mirror else None,
                "health": state.health,
                "recommendable": state.recommendable,
            }
            for state in states
        ],
        "mirrors": [_mirror(mirror, data) for mirror in data.mirrors],
        "incidents": [
            {
                "id": incident.id,
                "mirror": incident.mirror,
                "severity": incident.severity,
                "kind": incident.kind,
                "summary": incident.summary.model_dump(),
                "opened_at": rfc3339(incident.opened_at),
                "resolved_at": rfc3339(incident.resolved_at),
            }
            for incident in data.incidents
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _mirror(mirror: SiteMirror, data: SiteData) -> dict[str, Any]:
    report, status, last = mirror.report, mirror.status, mirror.last_ended
    return {
        "name": mirror.name,
        "source": status.source,
        "target": status.target,
        "health": health_of(mirror, data),
        "every_seconds": int(status.every.total_seconds()),
        "delay_goal_seconds": int(status.delay_goal.total_seconds()),
        "verified_at": rfc3339(mirror.verified_at),
        "tags": {
            "synced": mirror.synced,
            "behind": mirror.behind,
            "behind_since": rfc3339(data.behind_since(mirror)),
        },
        "success": {"tags": _success(report.tags), "runs": _success(report.runs)},
        "delay_seconds": _delay(report.delay),
        "pull_bytes_per_second": _speed(report.pulls),
        "last_run": last
        and {
            "started_at": rfc3339(last.started_at),
            "ended_at": rfc3339(last.ended_at),
            "status": last.status,
            "copied": last.tags_copied,
            "failed": last.tags_failed,
        },
    }


def _success(ended: Runs | Tags) -> dict[str, float | int | None]:
    return {"good": ended.succeeded, "ended": ended.counted, "rate": ended.success_rate}


def _delay(delay: DelayStats) -> dict[str, float | int | None] | None:
    if not delay.samples:
        return None
    return {"p50": delay.p50, "p95": delay.p95, "max": delay.max, "count": delay.samples}


def _speed(pulls: PullStats) -> dict[str, float | None] | None:
    if pulls.bytes_per_second is None:
        return None
    return {"mirror": pulls.bytes_per_second, "source": pulls.source_bytes_per_second}


def rfc3339(at: datetime | None) -> str | None:
    """`2026-11-24T08:05:09Z`, or None for none."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z") if at else None


def filtered(mirror: SiteMirror) -> tuple[SiteTag, ...]:
    """The tags whose digest at the mirror differs from the source's on purpose."""
    return tuple(
        tag
        for tag in mirror.tags
        if tag.in_sync and tag.target_digest and tag.target_digest != tag.source_digest
    )


def digest_map(mirror: SiteMirror) -> str:
    """CSV: tag, source_digest, mirror_digest, and what was left out as reason:platform."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["tag", "source_digest", "mirror_digest", "left_out"])
    for tag in filtered(mirror):
        left_out = " ".join(f"{part.reason}:{part.platform or '-'}" for part in tag.left_out)
        writer.writerow([tag.name, tag.source_digest, tag.target_digest, left_out])
    return text.getvalue()


def tag_index(image: ImageTags) -> str:
    """All tag names with the number of their page, for the filter box: `[["0.1", 1], …]`."""
    entries = [[row.name, page.number] for page in image.pages() for row in page.rows]
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":")) + "\n"
