"""The published site and /metrics over HTTP.

Publishing swaps in a complete new build, so each request looks the folder up again: nothing stays
open or cached between builds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from flows.local.health_checks import HealthMonitor
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

_DIRECTORY = web.AppKey("directory", Path)
_MONITOR = web.AppKey("monitor", HealthMonitor)


def application(directory: Path, monitor: HealthMonitor | None = None) -> web.Application:
    """An aiohttp application that serves the site in `directory`, which may not exist yet.

    /livez says that it runs, /healthz what `monitor` sees; without one, the same as /livez.
    """
    app = web.Application(middlewares=[_headers])
    app[_DIRECTORY] = directory
    if monitor is not None:
        app[_MONITOR] = monitor
    app.router.add_get("/livez", _live)
    app.router.add_get("/healthz", _live if monitor is None else _healthy)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/{path:.*}", _page)
    return app


@asynccontextmanager
async def serve_site(
    directory: Path, host: str, port: int, monitor: HealthMonitor | None = None
) -> AsyncIterator[None]:
    """Serve `directory` at host:port inside the block, and what `monitor` sees at /healthz."""
    runner = web.AppRunner(application(directory, monitor), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
        if monitor is not None:
            await monitor.aclose()


@web.middleware
async def _headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(HEADERS)
        raise
    response.headers.update(HEADERS)
    return response


async def _live(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _healthy(request: web.Request) -> web.Response:
    checks = await request.app[_MONITOR].look()
    well = all(check.ok for check in checks)
    document = {
        "status": "ok" if well else "failing",
        "checks": {check.part: {"ok": check.ok, "message": check.message} for check in checks},
    }
    headers = {"Cache-Control": "no-store"}
    return web.json_response(document, status=200 if well else 503, headers=headers)


async def _metrics(request: web.Request) -> web.StreamResponse:
    file = request.app[_DIRECTORY] / METRICS_FILE
    if not file.is_file():
        raise web.HTTPServiceUnavailable(text="nothing is published yet\n")
    return web.FileResponse(file, headers={"Content-Type": METRICS_TYPE, "Cache-Control": FRESH})


async def _page(request: web.Request) -> web.StreamResponse:
    root = request.app[_DIRECTORY].resolve()
    if not root.is_dir():
        raise web.HTTPServiceUnavailable(text="nothing is published yet\n")
    file = (root / request.match_info["path"]).resolve()
    if not file.is_relative_to(root):
        raise web.HTTPNotFound(text="404: not found\n")
    if file.is_dir():
        if not request.path.endswith("/"):
            raise web.HTTPMovedPermanently(request.path + "/")
        file /= "index.html"
    if not file.is_file():
        return _not_found(root)
    headers = {"Cache-Control": FOREVER if _is_hashed(file.relative_to(root)) else FRESH}
    if kind := TYPES.get(file.suffix):
        headers["Content-Type"] = kind
    return web.FileResponse(file, headers=headers)


def _not_found(root: Path) -> web.Response:
    page = root / "404.html"
    if not page.is_file():
        raise web.HTTPNotFound(text="404: not found\n")
    return web.Response(body=page.read_bytes(), status=404, content_type="text/html")


def _is_hashed(path: Path) -> bool:
    return path.parts[0] == "assets" and len(path.suffixes) > 1
