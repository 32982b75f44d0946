"""`python -m flows.local.prefect_server`: Prefect's server with a lock on it.

`prefect server start` answers everybody. This starts the same application only with a login
(PREFECT_SERVER_API_AUTH_STRING), with protection against forged requests (CSRF), and behind a gate
that keeps out what a browser sends for a stranger: requests to a host name that is not this
server's (DNS rebinding) and requests from another site's pages, WebSockets included, which CORS
does not cover.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from flows.local.ports import ANY, LOOPBACK
from flows.orchestration import ORIGINS_ENV, SERVER_ENV, follow_log_settings, weakness
from mirror.errors import ConfigError
from mirror.logs import logs_json

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

    Transaction = AbstractAsyncContextManager[AsyncSessionTransaction]

UI = "PREFECT_UI_API_URL"
RESOLUTION = timedelta(seconds=5)
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


def rest_longer() -> None:
    """Have the server's background worker look for due tasks once a second, not four times.

    New tasks wake it at once. It also looks once a second whether a running task was cancelled,
    not ten times, each in a thread. And the time zones of the machine are listed once, not for
    every schedule that is read. Prefect has no settings for these.
    """
    from burner_redis.pubsub import PubSub  # type: ignore[import-untyped]
    from docket import Worker
    from prefect._internal.schemas import validators
    from prefect.server.api import background_workers
    from prefect.types._datetime import get_timezones

    worker = partial(Worker, minimum_check_interval=RESOLUTION, scheduling_resolution=RESOLUTION)
    background_workers.Worker = worker  # type: ignore[attr-defined,assignment]
    look = PubSub.get_message

    async def get_message(
        channel: PubSub, ignore_subscribe_messages: bool = False, timeout: float | None = 0.0
    ) -> Any:
        if not timeout:  # do not wait, or wait for good
            return await look(channel, ignore_subscribe_messages, timeout)
        found = await look(channel, ignore_subscribe_messages)
        if found is None:
            await asyncio.sleep(max(timeout, RESOLUTION.total_seconds()))
        return found

    PubSub.get_message = get_message
    vars(validators)["get_timezones"] = cache(get_timezones)


def wait_for_turns() -> None:
    """Have each transaction on SQLite wait for its turn from its start (BEGIN IMMEDIATE).

    Prefect begins most as DEFERRED: one that has read and then writes cannot wait where another one
    wrote meanwhile. It fails with "database is locked", the API returns 503, and Prefect's client
    tries again after 2, 4, 8, 16 and 32 seconds: nine runs that start at once take minutes. Prefect
    has no setting for it. PostgreSQL waits by itself.
    """
    from prefect.server.database.configurations import AioSqliteConfiguration as Configuration

    begin = Configuration.begin_transaction

    def immediate(self: Configuration, session: AsyncSession, **_: bool) -> Transaction:
        return begin(self, session, with_for_update=True)

    Configuration.begin_transaction = immediate  # type: ignore[method-assign,assignment]


def main() -> int:
    """Serve until SIGINT or SIGTERM; 2 where the login is missing or too weak."""
    parser = argparse.ArgumentParser(prog="python -m flows.local.prefect_server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4200)
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with who started it")
    options = parser.parse_args()
    if fault := weakness(os.environ.get(SERVER_ENV, "")):
        print(f"{SERVER_ENV}: {fault}", file=sys.stderr)  # noqa: T201 - a command
        return 2
    try:
        follow_log_settings()
    except ConfigError as error:
        print(f"mirror: {error}", file=sys.stderr)  # noqa: T201 - a command
        return error.exit_code
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    # Prefect reads its settings when it is imported.
    os.environ[CSRF] = "true"
    os.environ[ORIGINS_ENV] = ",".join(sorted(origins(options.port, os.environ)))

    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings
    from uvicorn.config import LOGGING_CONFIG

    from flows.local.resting_uvicorn import RestingServer

    rest_longer()
    wait_for_turns()
    api = get_current_settings().server.api
    config = uvicorn.Config(
        guarded(create_app(final=True), options.host, options.port, os.environ),
        host=options.host,
        port=options.port,
        timeout_keep_alive=api.keepalive_timeout,
        ws_ping_interval=api.websocket_ping_interval,
        ws_ping_timeout=api.websocket_ping_timeout,
        log_level=get_current_settings().server.logging_level.lower(),
        access_log=False,
        log_config=None if logs_json() else LOGGING_CONFIG,  # None: as Prefect has set it up
    )
    server = RestingServer(config)
    with suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else 3  # as uvicorn's own command


def _end_with_stdin() -> None:
    """Who started this server holds the other end, until it ends in whatever way."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
