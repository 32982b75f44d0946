"""A web hook on loopback: what apprise's json:// scheme posts to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

TOKEN = "a-token-in-the-path"


@dataclass
class Hook:
    """Keeps what it is sent and answers with `status`."""

    status: int = 200
    url: str = ""
    bodies: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """One message."""
        assert request.path == f"/{TOKEN}"
        self.bodies.append(await request.json())
        return web.Response(status=self.status)


@asynccontextmanager
async def serve_hook() -> AsyncIterator[Hook]:
    """The hook on a free port; `url` is an apprise URL."""
    hook = Hook()
    app = web.Application()
    app.router.add_post("/{path:.*}", hook.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook.url = f"json://127.0.0.1:{runner.addresses[0][1]}/{TOKEN}"
        yield hook
    finally:
        await runner.cleanup()
