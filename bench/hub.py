"""Docker Hub's web API over a listing in a file, in front of the source.

`python -m bench.hub LISTING [ADDRESS]` serves on a free port of the loopback, or of ADDRESS, which
it prints, until its standard input ends. Only the paths and fields that a tag listing needs: see
the registry facts of Docker Hub's web API (100 tags a page, newest first, the index digest in
`digest`).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

MOST = 100


def rows(digests: dict[str, str], pushed: Mapping[str, datetime]) -> list[dict[str, Any]]:
    """Rows of the tag list, newest first; `pushed` holds when each tag was."""
    return [
        {
            "name": tag,
            "digest": digests[tag],
            "tag_last_pushed": stamp(pushed[tag]),
            "last_updated": stamp(pushed[tag]),
            "full_size": 1000,
            "tag_status": "active",
            "images": [],
        }
        for tag in sorted(digests, key=lambda tag: pushed[tag], reverse=True)
    ]


def stamp(moment: datetime) -> str:
    """As Hub writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Hub:
    """The listing, read again when its file has changed."""

    def __init__(self, listing: Path) -> None:
        self._listing = listing
        self._read_at = 0
        self._rows: dict[str, list[dict[str, Any]]] = {}

    async def tags(self, request: web.Request) -> web.Response:
        """One page of tags."""
        self._read()
        name = f"{request.match_info['namespace']}/{request.match_info['repository']}"
        found = self._rows.get(name)
        if found is None:
            raise web.HTTPNotFound
        size = min(MOST, int(request.query.get("page_size", "10")))
        page = int(request.query.get("page", "1"))
        following = None
        if page * size < len(found):
            following = str(request.url.update_query(page=str(page + 1)))
        return web.json_response(
            {
                "count": len(found),
                "next": following,
                "previous": None,
                "results": found[(page - 1) * size : page * size],
            }
        )

    async def repositories(self, request: web.Request) -> web.Response:
        """One page of a namespace's repositories."""
        self._read()
        prefix = f"{request.match_info['namespace']}/"
        names = sorted(name for name in self._rows if name.startswith(prefix))
        size = min(MOST, int(request.query.get("page_size", "10")))
        page = int(request.query.get("page", "1"))
        following = None
        if page * size < len(names):
            following = str(request.url.update_query(page=str(page + 1)))
        results = [
            {
                "name": name.removeprefix(prefix),
                "namespace": prefix.rstrip("/"),
                "last_updated": max(row["last_updated"] for row in self._rows[name]),
            }
            for name in names[(page - 1) * size : page * size]
        ]
        return web.json_response({"count": len(names), "next": following, "results": results})

    def _read(self) -> None:
        changed = self._listing.stat().st_mtime_ns
        if changed != self._read_at:
            self._rows = json.loads(self._listing.read_text())
            self._read_at = changed


async def serve(listing: Path, address: str) -> None:
    """Answer until standard input ends."""
    app = web.Application()
    hub = Hub(listing)
    path = "/v2/namespaces/{namespace}/repositories"
    app.router.add_get(path, hub.repositories)
    app.router.add_get(f"{path}/{{repository}}/tags", hub.tags)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, 0).start()
    print(runner.addresses[0][1], flush=True)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    await commands.read()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"))
