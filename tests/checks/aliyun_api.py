"""A fake of Aliyun's OpenAPI for the personal registry: GetRepo of product cr, 2016-06-07.

Facts imitated: requests are ROA style, `GET /repos/<namespace>/<name>`, signed with
ACS3-HMAC-SHA256; the answer carries `data.repo.downloads`; errors are JSON with code and message.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class AliyunApi:
    """Pull counts by repository, the key that may ask, and what was asked."""

    downloads: dict[str, int | None]
    key_id: str = "LTAI-test"
    host: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """GetRepo."""
        self.asked.append((request.headers["x-acs-action"], request.path))
        scheme, _, signature = request.headers.get("Authorization", "").partition(" ")
        if scheme != "ACS3-HMAC-SHA256" or f"Credential={self.key_id}," not in signature:
            return self._error(403, "InvalidAccessKeyId.NotFound")
        if request.headers["x-acs-version"] != "2016-06-07":
            return self._error(400, "InvalidVersion")
        name = request.match_info["name"]
        if name not in self.downloads:
            return self._error(404, "REPO_NOT_EXIST")
        repo = {"repoName": name.split("/")[1], "repoNamespace": name.split("/")[0]}
        count = self.downloads[name]
        body = {"data": {"repo": repo if count is None else {**repo, "downloads": count}}}
        return web.json_response(body)

    @staticmethod
    def _error(status: int, code: str) -> web.Response:
        return web.json_response({"code": code, "message": code, "requestId": "x"}, status=status)


@asynccontextmanager
async def aliyun_api(downloads: dict[str, int | None]) -> AsyncIterator[AliyunApi]:
    """The fake, listening on a free port of the loopback interface."""
    api = AliyunApi(downloads)
    application = web.Application()
    application.router.add_get("/repos/{name:[^/]+/[^/]+}", api.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.host = f"127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        await runner.cleanup()
