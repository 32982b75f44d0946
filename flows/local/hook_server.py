"""`POST /hooks/KIND/SECRET`: services report pushes, and the watch looks at their source at once.

A report is written to the history and answered; the running `mirror watch` does the rest.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mirror.checks import KINDS, NotAReport, is_signed, read_report
from mirror.config import load_settings
from mirror.errors import ConfigError
from mirror.history import DatabaseAway, PostgresRecorder, database_url

_BODY_BYTES: Final = 64 * 1024
_A_MINUTE: Final = 120  # reports of one sender
_SENDERS: Final = 1000  # whose reports are counted
_SECRET_LENGTH: Final = 16


class HookServer:
    """Receives reports, where there is a secret; an async context manager."""

    def __init__(self, secret: str | None, url: str | None = None) -> None:
        """Without a secret there is no address to send anything to. `url`: of the history; else
        MIRROR_HOOK_DATABASE_URL, since the site's own login may only read, else the site's."""
        self._secret = secret
        self._url = url
        self._stack = AsyncExitStack()
        self._recorder: PostgresRecorder | None = None
        self._left: dict[str, tuple[float, float]] = {}

    @property
    def routes(self) -> list[Route]:
        """The routes of the site's server."""
        if self._secret is None:
            return []
        return [Route("/hooks/{kind}/{secret}", self._receive, methods=["POST"])]

    async def __aenter__(self) -> HookServer:
        if self._secret is not None:
            url = self._url or os.environ.get("MIRROR_HOOK_DATABASE_URL") or database_url()
            self._recorder = await self._stack.enter_async_context(PostgresRecorder.open(url))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _receive(self, request: Request) -> Response:
        kind, given = request.path_params["kind"], request.path_params["secret"]
        if not self._knows(given) or kind not in KINDS:
            return _not_found()
        sender = request.client.host if request.client else "unknown"
        if not self._may_send(sender):
            return PlainTextResponse("429: too many reports\n", 429, {"Retry-After": "60"})
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_BYTES:
                return PlainTextResponse("413: at most 64 KB\n", 413, {"Connection": "close"})
        if kind == "github" and not self._signed(body, request.headers):
            return _not_found()
        try:
            pushes = read_report(kind, body)
        except NotAReport as error:
            return PlainTextResponse(f"400: {error}\n", 400)
        if pushes and self._recorder is not None:
            try:
                named = [(push.repository, push.tag) for push in pushes]
                await self._recorder.add_hook_events(kind, sender, named)
            except DatabaseAway:
                return PlainTextResponse("503: try again\n", 503, {"Retry-After": "30"})
        return PlainTextResponse("202: accepted\n", 202)

    def _knows(self, given: str) -> bool:
        secret = (self._secret or "").encode()
        return hmac.compare_digest(secret, given.encode(errors="replace"))

    def _signed(self, body: bytes, headers: Mapping[str, str]) -> bool:
        return is_signed(self._secret or "", body, headers.get("x-hub-signature-256", ""))

    def _may_send(self, sender: str) -> bool:
        now = time.monotonic()
        left, at = self._left.pop(sender, (float(_A_MINUTE), now))
        left = min(float(_A_MINUTE), left + (now - at) * _A_MINUTE / 60)
        self._left[sender] = (max(left - 1, 0.0), now)
        if len(self._left) > _SENDERS:
            del self._left[next(iter(self._left))]
        return left >= 1


def open_hooks() -> HookServer:
    """The receiver by mirrors.yaml and the environment; one without addresses where they name none.

    Raises ConfigError for a secret that is missing or short.
    """
    try:
        hooks = load_settings().hooks
    except ConfigError:
        hooks = None  # a folder can be served without mirrors.yaml
    if hooks is None:
        return HookServer(None)
    secret = os.environ.get(hooks.secret_env, "")
    if len(secret) < _SECRET_LENGTH or not secret.isascii() or not secret.isalnum():
        raise ConfigError(
            f"hooks: the variable {hooks.secret_env} must hold at least {_SECRET_LENGTH} letters"
            " and digits, such as `openssl rand -hex 24` prints; it is a part of an address"
        )
    return HookServer(secret)


def _not_found() -> Response:
    return PlainTextResponse("404: not found\n", 404)
