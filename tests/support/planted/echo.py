"""A server that quotes whatever it gets: registry, token service, proxy and robots in one.

Requests of a registry say by their repository how it answers: `s401/...` with a status, `loc/...`
with a redirect, and so on. Each answer begins with another form of what came, since a client cuts.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from aiohttp import web

from tests.support.planted.secrets import SECRETS

_LONG = 3_000  # characters of a header's value: servers refuse more


@dataclass
class Echo:
    """What came, and where it listens."""

    host: str = ""
    came: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    _asked: dict[str, int] = field(default_factory=dict)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer by the path."""
        body = (await request.read()).decode(errors="replace")
        path = request.path
        self.came.append(f"{request.method} {request.raw_path} {dict(request.headers)} {body}")
        said = self._words(request, body)
        if path == "/token":
            return self._token(request, said)
        if request.url.host not in ("127.0.0.1", "localhost"):  # as a proxy
            return _errors(407, said)
        if path.startswith(("/robot/", "/open-apis/", "/cgi-bin/", "/hook")):
            self.alerts.append(body)
            return web.json_response({"errcode": 1, "code": 1, "errmsg": said, "msg": said})
        if not path.startswith("/v2/") or path == "/v2/":
            return _errors(401 if path == "/v2/" else 500, said, _basic())
        kind = path.split("/")[2]
        return await self._registry(request, kind, said)

    async def _registry(self, request: web.BaseRequest, kind: str, said: str) -> web.StreamResponse:
        signed = "Authorization" in request.headers
        if kind.startswith("bearer"):
            challenge = f'Bearer realm="http://{self.host}/token",service="{kind}"'
            if not request.headers.get("Authorization", "").startswith("Bearer"):
                return _errors(401, said, {"WWW-Authenticate": challenge})
            return _errors(int(kind.removeprefix("bearer")), said)
        if not signed:
            return _errors(401, said, _basic())
        if kind == "hang" and not self.hanging.is_set():  # once
            self.hanging.set()
            await asyncio.sleep(3600)
        if kind == "loc":
            return _errors(307, said, {"Location": f"http://{self.host}/x?{quote(said[:_LONG])}"})
        if kind == "realm":
            realm = quote(said[:_LONG], safe=":/ ")
            return _errors(401, said, {"WWW-Authenticate": f'Bearer realm="{realm}"'})
        if kind == "link":
            return web.Response(
                text=json.dumps({"name": said[:200], "tags": [said[:100]]}),
                headers={"Link": f'<http://other.example/{quote(said[:_LONG])}>; rel="next"'},
            )
        if kind == "broken":
            return web.Response(text=said, content_type="application/json")
        return _errors(int(kind[1:]) if kind[1:].isdigit() else 500, said)

    def _token(self, request: web.BaseRequest, said: str) -> web.StreamResponse:
        service = request.query.get("service", "")
        if service.endswith("403") or request.method == "POST":
            handed = {"token": SECRETS["bearer"], "refresh_token": SECRETS["renewal"]}
            return web.json_response({**handed, "expires_in": 300})
        return _errors(403, said)

    def _words(self, request: web.BaseRequest, body: str) -> str:
        """Each form of what came; every time another one first."""
        values = [value for value in request.headers.values() if len(value) < _LONG]
        headers = [
            request.headers[name]
            for name in ("Authorization", "Proxy-Authorization")
            if name in request.headers
        ]
        found = [value for header in headers for value in (header, *_decoded(header))]
        known = [*found, unquote(body), body, request.raw_path, *values]
        if any(header.startswith("Bearer ") for header in headers):  # it knows what it handed out
            known += [SECRETS["renewal"]]
        said = [form(value) for value in known if value for form in FORMS]
        turn = self._asked[request.path] = self._asked.get(request.path, -1) + 1
        first = (turn * 5 + len(request.path)) % max(len(said), 1)
        return " | ".join([*said[first:], *said[:first]])


def _decoded(header: str) -> Iterator[str]:
    scheme, _, value = header.partition(" ")
    yield value
    if scheme == "Basic":
        pair = base64.b64decode(value).decode()
        yield from (pair, pair.partition(":")[2])


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


FORMS: tuple[Callable[[str], str], ...] = (
    str,
    _encoded,
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    lambda text: quote(text, safe=""),
    lambda text: quote(_encoded(text), safe=""),
    lambda text: json.dumps({"header": text}),
    repr,
    lambda text: text.encode().hex(),
    lambda text: _encoded(f"Authorization: {text}\r\n"),
)


def _basic() -> dict[str, str]:
    return {"WWW-Authenticate": 'Basic realm="planted"'}


def _errors(status: int, said: str, headers: dict[str, str] | None = None) -> web.Response:
    first = {"code": said[:200], "message": said, "detail": {"was": said}}
    return web.json_response({"errors": [first]}, status=status, headers=headers)


@asynccontextmanager
async def echoing() -> AsyncIterator[Echo]:
    """The server on a free port of the loopback."""
    echo = Echo()
    runner = web.ServerRunner(web.Server(echo.answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    echo.host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield echo
    finally:
        await runner.cleanup()
