"""What uptime monitors read: one small JSON a mirror, and one word for all (site/schema)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

from mirror.website.documents import rfc3339
from mirror.website.health import Health, health_of
from mirror.website.site_data import SiteData, SiteMirror

SCHEMA_VERSION = 1
BELIEVED_FOR = timedelta(hours=1)  # the site is built every ten minutes

# In words that monitors use, from the worst to the best.
STATUS = {
    Health.FAILING: "down",
    Health.LAGGING: "degraded",
    Health.UNKNOWN: "unknown",
    Health.GOOD: "up",
}


def mirror_status(mirror: SiteMirror, data: SiteData, site_url: str) -> str:
    """`api/mirrors/NAME.json`, as site/schema/mirror.schema.json describes it."""
    return _line(
        {
            "schema_version": SCHEMA_VERSION,
            "name": mirror.name,
            "status": STATUS[health_of(mirror, data)],
            **_times(data),
            "verified_at": rfc3339(mirror.verified_at),
            "tags_behind": mirror.behind,
            "delay_p95_seconds": mirror.report.delay.p95 if mirror.report.delay.samples else None,
            "delay_goal_seconds": int(mirror.status.delay_goal.total_seconds()),
            "success_rate": mirror.report.tags.success_rate,
            "page": urljoin(
                site_url, f"status/{mirror.name}/" if data.is_whole(mirror) else "status/#others"
            ),
        }
    )


def summary(data: SiteData) -> str:
    """`api/summary.json`, as site/schema/summary.schema.json describes it."""
    states = {mirror.name: STATUS[health_of(mirror, data)] for mirror in data.mirrors}
    worst = next((word for word in STATUS.values() if word in states.values()), "unknown")
    return _line(
        {
            "schema_version": SCHEMA_VERSION,
            "status": worst,
            **_times(data),
            "mirrors": states,
        }
    )


def _times(data: SiteData) -> dict[str, str | None]:
    return {
        "generated_at": rfc3339(data.read_at),
        "stale_after": rfc3339(data.read_at + BELIEVED_FOR),
    }


def _line(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
