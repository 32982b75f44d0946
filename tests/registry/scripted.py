"""A registry as a table of requests and answers, for what no real one does on demand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx

Make = Callable[[httpx.Request], httpx.Response]


def answer(
    status: int, body: bytes | str = b"", headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """An answer as it comes from the network, its body unread."""
    raw = body.encode() if isinstance(body, str) else body
    return httpx.Response(status, content=raw, headers=headers)


@dataclass
class Script(httpx.AsyncBaseTransport):
    """Answers a request by the first row whose pattern is found in "METHOD url".

    What no row matches gets 404. `seen` are the requests, in their order.
    """

    rows: list[tuple[str, Make]] = field(default_factory=list)
    seen: list[httpx.Request] = field(default_factory=list)

    def on(self, pattern: str, make: Make | httpx.Response) -> None:
        """Add a row; a response is given again and again."""
        if isinstance(make, httpx.Response):
            first = make
            body, headers = first.content, first.headers
            self.rows.append(
                (
                    pattern,
                    lambda _: httpx.Response(first.status_code, content=body, headers=headers),
                )
            )
        else:
            self.rows.append((pattern, make))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.seen.append(request)
        line = f"{request.method} {request.url}"
        for pattern, make in self.rows:
            if re.search(pattern, line):
                return make(request)
        return answer(404, '{"errors":[{"code":"NOT_FOUND"}]}')

    def asked(self, pattern: str) -> list[httpx.Request]:
        """The requests whose "METHOD url" the pattern is found in."""
        return [one for one in self.seen if re.search(pattern, f"{one.method} {one.url}")]
