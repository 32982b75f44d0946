"""What machines read: status.json (schema in site/schema), the digest maps and the tag index."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any

from mirror.website.health import SourceState, health_of, recommended
from mirror.website.site_data import Mirror, Share, SiteRecord, Tag
from mirror.website.tags import ImageTags


def status_json(record: SiteRecord, states: tuple[SourceState, ...]) -> str:
    """The public status, as site/schema/status.schema.json describes it."""
    document = {
        "generated_at": _time(record.read_at),
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
        "mirrors": [_mirror(mirror, record) for mirror in record.mirrors],
        "incidents": [
            {
                "id": incident.id,
                "mirror": incident.mirror,
                "severity": incident.severity,
                "kind": incident.kind,
                "summary": incident.summary.model_dump(),
                "opened_at": _time(incident.opened_at),
                "resolved_at": _time(incident.resolved_at),
            }
            for incident in record.incidents
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _mirror(mirror: Mirror, record: SiteRecord) -> dict[str, Any]:
    last = mirror.last_ended
    return {
        "name": mirror.name,
        "source": mirror.source,
        "target": mirror.target,
        "health": health_of(mirror, record),
        "every_seconds": int(mirror.every.total_seconds()),
        "delay_goal_seconds": int(mirror.delay_goal.total_seconds()),
        "verified_at": _time(mirror.verified_at),
        "tags": {
            "synced": mirror.synced,
            "behind": mirror.behind,
            "behind_since": _time(mirror.behind_since),
        },
        "success": {"tags": _share(mirror.tag_success), "runs": _share(mirror.run_success)},
        "delay_seconds": mirror.delay
        and {
            "p50": mirror.delay.p50,
            "p95": mirror.delay.p95,
            "max": mirror.delay.max,
            "count": mirror.delay.count,
        },
        "pull_bytes_per_second": mirror.speed
        and {"mirror": mirror.speed.mirror, "source": mirror.speed.source},
        "last_run": last
        and {
            "started_at": _time(last.started_at),
            "ended_at": _time(last.ended_at),
            "status": last.status,
            "copied": last.copied,
            "failed": last.failed,
        },
    }


def _share(share: Share) -> dict[str, float | int | None]:
    return {"good": share.good, "ended": share.ended, "rate": share.rate}


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z") if at else None


def filtered(mirror: Mirror) -> tuple[Tag, ...]:
    """The tags whose digest at the mirror is meant to differ from the source's."""
    return tuple(
        tag
        for tag in mirror.tags
        if tag.in_sync and tag.target_digest and tag.target_digest != tag.source_digest
    )


def digest_map(mirror: Mirror) -> str:
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
