"""`python -m flows.local.prefect_server`: Prefect's server with a lock on it.

`prefect server start` answers everybody. This starts the same application only with a login
(PREFECT_SERVER_API_AUTH_STRING), with protection against forged requests (CSRF), and behind a gate
that keeps out what a browser sends for a stranger: requests to a host name that is not this
server's (DNS rebinding) and requests from another site's pages, WebSockets included, which CORS
does not cover.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.local.ports import ANY, LOOPBACK
from flows.orchestration import ORIGINS_ENV, SERVER_ENV, weakness

UI = "PREFECT_UI_API_URL"
CSRF = "PREFECT_SERVER_CSRF_PROTECTION_ENABLED"


class OwnOrigin:
    """Refuses what a page of another origin asks for: 403, and no WebSocket.

    Programs send no Origin; browsers send it with all but a GET of the same origin.
    """

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] in ("http", "websocket"):
            found = Headers(scope=scope).getlist("origin")
            if any(origin.lower() not in self._origins for origin in found):
                refusal = PlainTextResponse("Foreign origin\n", status_code=403)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def hosts(listening: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The host names of this server: loopback, where it listens, and what its addresses name.

    Its addresses are PREFECT_UI_API_URL, where people open the UI, and PREFECT_API_URL, where the
    workers find it.
    """
    named = (urlsplit(environment.get(name, "")).hostname for name in (UI, "PREFECT_API_URL"))
    own = {*LOOPBACK, listening, *(name for name in named if name)} - {*ANY}
    return tuple(sorted(f"[{name}]" if ":" in name else name for name in own))


def origins(port: int, environment: Mapping[str, str]) -> frozenset[str]:
    """The origins of the UI's pages: this server by its loopback names, and PREFECT_UI_API_URL."""
    own = {
        f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}" for name in LOOPBACK
    }
    ui = urlsplit(environment.get(UI, ""))
    if ui.netloc:
        own.add(f"{ui.scheme}://{ui.netloc.rpartition('@')[2]}".lower())
    return frozenset(own)


def guarded(app: ASGIApp, listening: str, port: int, environment: Mapping[str, str]) -> ASGIApp:
    """Prefect's application behind the gate."""
    inner = OwnOrigin(app, origins(port, environment))
    return TrustedHostMiddleware(inner, hosts(listening, environment), www_redirect=False)


def main() -> int:
    """Serve until SIGINT or SIGTERM; 2 where the login is missing or too weak."""
    parser = argparse.ArgumentParser(prog="python -m flows.local.prefect_server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4200)
    options = parser.parse_args()
    if fault := weakness(os.environ.get(SERVER_ENV, "")):
        print(f"{SERVER_ENV}: {fault}", file=sys.stderr)  # noqa: T201 - a command
        return 2
    # Prefect reads its settings when it is imported.
    os.environ[CSRF] = "true"
    os.environ[ORIGINS_ENV] = ",".join(sorted(origins(options.port, os.environ)))

    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    api = get_current_settings().server.api
    uvicorn.run(
        guarded(create_app(final=True), options.host, options.port, os.environ),
        host=options.host,
        port=options.port,
        timeout_keep_alive=api.keepalive_timeout,
        ws_ping_interval=api.websocket_ping_interval,
        ws_ping_timeout=api.websocket_ping_timeout,
        log_level=get_current_settings().server.logging_level.lower(),
        access_log=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
