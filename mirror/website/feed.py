"""The Atom feed of incidents (RFC 4287)."""

from __future__ import annotations

from html import escape
from urllib.parse import urljoin

from feedgenerator import Atom1Feed

from mirror.website.site_data import SiteData
from mirror.website.words import Words

ENTRIES = 30  # as many as the status page shows: each entry links to its incident there
_IDS = "tag:hagicode.com,2026:mirror"  # RFC 4151: an entry keeps its id wherever the site moves


def incident_feed(data: SiteData, words: Words, site_url: str) -> str:
    """The newest incidents, open ones and those that are over, as Atom.

    `site_url` is the public address of the site, ending in a slash; with an empty one the links
    are relative to the feed's folder.
    """
    prefix = "" if words.language == "zh" else f"{words.language}/"
    status_page = urljoin(site_url, f"{prefix}status/")
    feed = Atom1Feed(
        title=f"{words('site_name')} · {words('incidents')}",
        link=status_page,
        feed_url=urljoin(site_url, f"{prefix}feed.xml"),
        feed_guid=f"{_IDS}/incidents/{words.language}",
        description=words("description"),
        language="zh-CN" if words.language == "zh" else "en",
        author_name="HagiCode",
    )
    for incident in data.incidents[:ENTRIES]:
        state = words("incident_over" if incident.resolved_at else "incident_open")
        summary = incident.summary[words.language]
        feed.add_item(
            title=f"[{state}] {incident.mirror or words('all')}: {summary}",
            link=f"{status_page}#incident-{incident.id}",
            description=escape(summary),
            unique_id=f"{_IDS}/incident/{incident.id}",
            pubdate=incident.opened_at,
            updateddate=incident.resolved_at or incident.opened_at,
        )
    return str(feed.writeString("utf-8"))
