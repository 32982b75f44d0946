"""Docker Hub's web API in front of a demo registry, or of any registry that it is told about.

    async with DemoRegistry(quirks.DOCKER_HUB) as registry, DemoHub(registry.store) as hub:
        hub.url                    # for `hub_api` in mirrors.yaml

Paths, fields, order and headers are those of registry-facts.md, "Docker Hub", "Web API". What is
said there of lists that lag, miss tags or hold stale digests is switched on in HubBehaviour.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import web

from flows.local.fake_registry.answers import Answer, RefusalError, json_answer
from flows.local.fake_registry.faults import Faults, Rule
from flows.local.fake_registry.hub_rows import HubRow, row_of
from flows.local.fake_registry.server import Body, Server
from flows.local.fake_registry.store import Push, Store
from flows.local.fake_registry.wire import Exchange

MAX_PAGE = 100

_TAGS = re.compile(
    r"/v2/(?:namespaces/(?P<ns>[^/]+)/repositories/(?P<repo>[^/]+)"
    r"|repositories/(?P<old_ns>[^/]+)/(?P<old_repo>[^/]+))/tags/?\Z"
)
_REPOSITORY = re.compile(
    r"/v2/(?:namespaces/(?P<ns>[^/]+)/repositories/(?P<repo>[^/]+)"
    r"|repositories/(?P<old_ns>[^/]+)/(?P<old_repo>[^/]+))/?\Z"
)


@dataclass(frozen=True)
class HubBehaviour:
    """What the web API does that a client has to live with.

    `digests` and `image_digests` False: the nullable fields are null. `lag`: a push is seen that
    much later. `hidden`: tags that the list misses. `stale`: digests that it still holds, by tag.
    `rate_limit` requests a minute; `retry_after_unix`: Retry-After as a unix timestamp, as seen.
    """

    digests: bool = True
    image_digests: bool = True
    lag: timedelta = timedelta(0)
    hidden: frozenset[str] = frozenset()
    stale: Mapping[str, str] = field(default_factory=dict)
    rate_limit: int = 180
    window: float = 60.0
    retry_after_unix: bool = True
    pull_counts: Mapping[str, int] = field(default_factory=dict)


class DemoHub:
    """The web API as an async context manager; `behaviour` may be replaced while it runs.

    With `store` it follows that registry's pushes and deletions. For another registry, tell it:
    `hub.pushed(repository, row)` and `hub.deleted(repository, tag)`.
    """

    def __init__(
        self,
        store: Store | None = None,
        behaviour: HubBehaviour | None = None,
        *,
        faults: tuple[Rule, ...] = (),
        port: int = 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.behaviour = behaviour or HubBehaviour()
        self.faults = Faults(faults)
        self.exchanges: list[Exchange] = []
        self._store = store
        self._clock = clock
        self._rows: dict[str, dict[str, HubRow]] = {}
        self._window_ends = 0.0
        self._left = 0
        self._server = Server(
            "hub", self._answer, faults=self.faults, exchanges=self.exchanges, port=port
        )
        if store is not None:
            self._read(store)
            store.listeners.append(self._follow)

    @property
    def host(self) -> str:
        """host:port."""
        return self._server.host

    @property
    def url(self) -> str:
        """The base address, without a slash at its end: what `hub_api` is set to."""
        return self._server.url

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.__aexit__(kind, error, traceback)
        if self._store is not None:
            self._store.listeners.remove(self._follow)

    def pushed(self, repository: str, row: HubRow) -> None:
        """A tag was pushed to `repository` (namespace/name)."""
        self._rows.setdefault(repository, {})[row.name] = row

    def deleted(self, repository: str, tag: str) -> None:
        """A tag was deleted."""
        del self._rows[repository][tag]

    def _read(self, store: Store) -> None:
        for repository in store.repositories.values():
            for tag, digest in repository.tags.items():
                pushed_at = repository.pushed_at[tag]
                self._follow(Push(repository.name, tag, repository.manifests[digest], pushed_at))

    def _follow(self, push: Push) -> None:
        if push.tag is not None and self._store is not None:
            manifests = self._store.repository(push.repository).manifests
            row = row_of(push.tag, push.manifest, manifests, push.pushed_at)
            self.pushed(push.repository, row)

    async def _answer(self, request: web.BaseRequest, _body: Body) -> Answer:
        headers = self._count()
        for pattern, answering in ((_TAGS, self._tags), (_REPOSITORY, self._repository)):
            if found := pattern.match(request.path):
                parts = found.groupdict()
                namespace = parts["ns"] or parts["old_ns"]
                name = f"{namespace}/{parts['repo'] or parts['old_repo']}"
                if name in self._rows:
                    return json_answer(answering(request, name), headers=headers)
        return json_answer(
            {"message": "object not found", "errinfo": {}}, status=404, headers=headers
        )

    def _tags(self, request: web.BaseRequest, name: str) -> dict[str, Any]:
        rows = self._visible(name)
        rows.sort(key=lambda row: row.name)
        ordering = request.query.get("ordering", "last_updated")
        if ordering.lstrip("-") == "last_updated":
            # Hub's names are the wrong way round: without the minus the newest come first.
            rows.sort(key=lambda row: row.pushed_at, reverse=not ordering.startswith("-"))
        elif ordering.startswith("-"):
            rows.reverse()
        size = min(int(request.query.get("page_size", "10")), MAX_PAGE)
        page = int(request.query.get("page", "1"))
        shown = rows[(page - 1) * size : page * size]

        def link(number: int) -> str:
            query = urlencode({**request.query, "page": number, "page_size": size})
            return f"{self.url}{request.path}?{query}"

        return {
            "count": len(rows),
            "next": link(page + 1) if page * size < len(rows) else None,
            "previous": link(page - 1) if page > 1 else None,
            "results": [self._result(row) for row in shown],
        }

    def _repository(self, _request: web.BaseRequest, name: str) -> dict[str, Any]:
        namespace, _, repository = name.partition("/")
        pushed = [row.pushed_at for row in self._visible(name)]
        held = self._store.repositories.get(name) if self._store else None
        pulls = self.behaviour.pull_counts.get(name, 0) + (held.pulls if held else 0)
        return {
            "name": repository,
            "namespace": namespace,
            "is_private": False,
            "star_count": 0,
            "pull_count": pulls,
            "last_updated": _written(max(pushed)) if pushed else None,
        }

    def _visible(self, name: str) -> list[HubRow]:
        seen_before = self._clock() - self.behaviour.lag
        held = self._store.repositories.get(name) if self._store else None
        return [
            row
            for row in self._rows[name].values()
            if row.name not in self.behaviour.hidden
            and row.pushed_at <= seen_before
            and (held is None or row.name in held.tags)
        ]

    def _result(self, row: HubRow) -> dict[str, Any]:
        behaviour = self.behaviour
        digest = behaviour.stale.get(row.name, row.digest)
        return {
            "name": row.name,
            "digest": digest if behaviour.digests else None,
            "media_type": row.media_type,
            "full_size": row.size,
            "last_updated": _written(row.pushed_at),
            "tag_last_pushed": _written(row.pushed_at),
            "tag_last_pulled": None,
            "tag_status": "active",
            "images": [
                {
                    "architecture": image.architecture,
                    "os": image.os,
                    "variant": image.variant,
                    "digest": image.digest if behaviour.image_digests else None,
                    "size": image.size,
                    "status": "active",
                    "last_pushed": _written(row.pushed_at),
                }
                for image in row.images
            ],
        }

    def _count(self) -> dict[str, str]:
        now = time.time()
        if now >= self._window_ends:
            self._window_ends = now + self.behaviour.window
            self._left = self.behaviour.rate_limit
        reset = str(int(self._window_ends))
        headers = {
            "X-RateLimit-Limit": str(self.behaviour.rate_limit),
            "X-RateLimit-Remaining": str(max(0, self._left - 1)),
            "X-RateLimit-Reset": reset,
        }
        if self._left <= 0:
            seconds = str(max(1, int(self._window_ends - now)))
            headers["Retry-After"] = reset if self.behaviour.retry_after_unix else seconds
            raise RefusalError(429, "TOOMANYREQUESTS", "Rate limit exceeded", headers=headers)
        self._left -= 1
        return headers


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
