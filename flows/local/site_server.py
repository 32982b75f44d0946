"""The published site and /metrics over HTTP.

Publishing swaps in a complete new build, so each request looks the folder up again: nothing stays
open or cached between builds.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.local.health_checks import HealthMonitor
from flows.local.limited_http import serving
from mirror.website import METRICS_FILE

METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# The pages have a Content-Security-Policy in a meta tag, which cannot say who may frame them
# (https://www.w3.org/TR/CSP3/#meta-element): that part is a header.
HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Pages and data change with every build; the names of files below assets/ contain a hash.
FRESH = "no-cache"
FOREVER = "public, max-age=31536000, immutable"
TYPES = {
    ".atom": "application/atom+xml; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}

LONGEST_PATH = 2048  # bytes; no page's address comes near it


def application(
    directory: Path, monitor: HealthMonitor | None = None, routes: Sequence[BaseRoute] = ()
) -> ASGIApp:
    """An ASGI application that serves the site in `directory`, which may not exist yet.

    /livez says that it runs, /healthz what `monitor` sees; without one, the same as /livez.
    `routes` come before the site's own.
    """

    async def live(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def healthy(_: Request) -> Response:
        return await live(_) if monitor is None else await _healthy(monitor)

    async def metrics(_: Request) -> Response:
        return _metrics(directory)

    own = [
        Route("/livez", live),
        Route("/healthz", healthy),
        Route("/metrics", metrics),
        Mount("/", Pages(directory)),
    ]
    return Starlette(routes=[*routes, *own], middleware=[Middleware(_Guarded)])


@asynccontextmanager
async def serve_site(
    directory: Path,
    host: str,
    port: int,
    monitor: HealthMonitor | None = None,
    routes: Sequence[BaseRoute] = (),
) -> AsyncIterator[None]:
    """Serve `directory` at host:port inside the block, and what `monitor` sees at /healthz."""
    try:
        async with serving(application(directory, monitor, routes), host, port):
            yield
    finally:
        if monitor is not None:
            await monitor.aclose()


class Pages(StaticFiles):
    """The files of a published site, with its 404 page."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, html=True, check_dir=False)
        self.config_checked = True  # it may not exist yet
        self._root = directory

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file of a path, the index of a folder, or the 404 page."""
        if not self._root.is_dir():
            return _not_yet()
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
        if isinstance(response, RedirectResponse):  # of the server's own address: no Host header
            return RedirectResponse(f"/{quote(path)}/", status_code=301)
        return response

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """A file with how long it may be kept, or 304."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        file = Path(full_path).relative_to(self._root.resolve())
        response.headers["Cache-Control"] = FOREVER if _is_hashed(file) else FRESH
        if (kind := TYPES.get(file.suffix)) and response.status_code == 200:
            response.headers["Content-Type"] = kind
        return response


class _Guarded:
    """Adds the headers, and refuses paths that cannot name a page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        path = scope["path"]
        if "\0" in path or len(path.encode(errors="replace")) > LONGEST_PATH:
            await PlainTextResponse("404: not found\n", 404)(scope, receive, with_headers)
        else:
            await self._app(scope, receive, with_headers)


async def _healthy(monitor: HealthMonitor) -> Response:
    checks = await monitor.look()
    well = all(check.ok for check in checks)
    document = {
        "status": "ok" if well else "failing",
        "checks": {check.part: {"ok": check.ok, "message": check.message} for check in checks},
    }
    return JSONResponse(document, 200 if well else 503, {"Cache-Control": "no-store"})


def _metrics(directory: Path) -> Response:
    file = directory / METRICS_FILE
    if not file.is_file():
        return _not_yet()
    return FileResponse(file, headers={"Cache-Control": FRESH, "Content-Type": METRICS_TYPE})


def _not_yet() -> Response:
    return PlainTextResponse("nothing is published yet\n", 503)


def _is_hashed(path: Path) -> bool:
    return path.parts[0] == "assets" and len(path.suffixes) > 1
