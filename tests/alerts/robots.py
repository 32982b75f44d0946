"""The three chat robots as their makers describe them, on loopback.

Each checks what the real one checks: token, signature, length in bytes, messages a minute; and
answers HTTP 200 whatever it thinks of the message (spec: registry-facts, "Chat robots").
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "t0ken-of-the-robot"
SECRET = "SEC-of-the-robot"
A_MINUTE, MESSAGES = 60.0, 20


@dataclass
class Robots:
    """DingTalk, Feishu and WeCom behind one address; what they took is in `taken`."""

    clock: Callable[[], float] = time.monotonic  # by which messages a minute are counted
    wall: Callable[[], float] = time.time  # by which signatures are too old
    signed: bool = True
    away: bool = False  # HTTP 502 to everything
    slow: float = 0.0  # seconds before an answer
    url: str = ""
    taken: list[tuple[str, str]] = field(default_factory=list)  # robot, text
    asked: int = 0
    _times: dict[str, list[float]] = field(default_factory=dict)

    def texts(self, robot: str) -> list[str]:
        """What one robot took, in order."""
        return [text for name, text in self.taken if name == robot]

    def _too_fast(self, robot: str) -> bool:
        now = self.clock()
        times = [at for at in self._times.get(robot, []) if now - at < A_MINUTE]
        self._times[robot] = [*times, now]
        return len(times) >= MESSAGES

    async def dingtalk(self, request: web.Request) -> web.Response:
        """errcode 310000 for a wrong signature, 130101 beyond 20 a minute."""
        query, body = request.query, await request.json()
        if query.get("access_token") != TOKEN:
            return web.json_response({"errcode": 300005, "errmsg": "token is not exist"})
        if self.signed:
            stamp = query.get("timestamp", "")
            wanted = hmac.digest(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), hashlib.sha256)
            fresh = stamp.isdigit() and abs(int(stamp) / 1000 - self.wall()) < 3600
            if not fresh or query.get("sign") != base64.b64encode(wanted).decode():
                return web.json_response({"errcode": 310000, "errmsg": "sign not match"})
        if self._too_fast("dingtalk"):
            return web.json_response({"errcode": 130101, "errmsg": "send too fast"})
        if body["msgtype"] == "markdown":
            assert body["markdown"]["title"]
            return self._take("dingtalk", body["markdown"]["text"])
        return self._take("dingtalk", body["text"]["content"])

    async def feishu(self, request: web.Request) -> web.Response:
        """The signature is in the body, in seconds; `code` 0 is success."""
        body = await request.json()
        if request.match_info["token"] != TOKEN:
            return web.json_response({"code": 19001, "msg": "param invalid", "data": {}})
        if self.signed:
            stamp = body.get("timestamp", "")
            wanted = hmac.digest(f"{stamp}\n{SECRET}".encode(), b"", hashlib.sha256)
            fresh = stamp.isdigit() and abs(int(stamp) - self.wall()) < 3600
            if not fresh or body.get("sign") != base64.b64encode(wanted).decode():
                return web.json_response({"code": 19021, "msg": "sign match fail", "data": {}})
        if self._too_fast("feishu"):
            return web.json_response({"code": 11232, "msg": "frequency limited", "data": {}})
        assert body["msg_type"] == "text"
        self.taken.append(("feishu", body["content"]["text"]))
        return web.json_response({"code": 0, "msg": "success", "data": {}})

    async def wecom(self, request: web.Request) -> web.Response:
        """Text up to 2048 bytes, markdown up to 4096, 20 a minute."""
        body: dict[str, Any] = await request.json()
        if request.query.get("key") != TOKEN:
            return web.json_response({"errcode": 93000, "errmsg": "invalid webhook url"})
        if self._too_fast("wecom"):
            return web.json_response({"errcode": 45009, "errmsg": "api freq out of limit"})
        kind = body["msgtype"]
        content = body[kind]["content"]
        if len(content.encode()) > {"text": 2048, "markdown": 4096}[kind]:
            return web.json_response({"errcode": 40058, "errmsg": "content exceed max length"})
        return self._take("wecom", content)

    def _take(self, robot: str, text: str) -> web.Response:
        self.taken.append((robot, text))
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    @web.middleware
    async def door(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Away or slow, before anything is looked at."""
        self.asked += 1
        if self.slow:
            await asyncio.sleep(self.slow)
        if self.away:
            return web.Response(status=502, text="<html>Bad Gateway</html>")
        response: web.StreamResponse = await handler(request)
        return response


@asynccontextmanager
async def serve_robots(robots: Robots) -> AsyncIterator[Robots]:
    """The robots on a free port of loopback, their address in `robots.url`."""
    app = web.Application(middlewares=[robots.door])
    app.router.add_post("/robot/send", robots.dingtalk)
    app.router.add_post("/open-apis/bot/v2/hook/{token}", robots.feishu)
    app.router.add_post("/cgi-bin/webhook/send", robots.wecom)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        robots.url = f"http://{host}:{port}"
        yield robots
    finally:
        await runner.cleanup()
