"""Docker Hub's web API with what a client has to live with.

    async with FakeRegistry(quirks.DOCKER_HUB) as registry, FakeHub(registry.store) as hub:
        hub.url                    # for `hub_api` in mirrors.yaml

Paths, fields, order and headers are those of registry-facts.md, "Docker Hub", "Web API". What it
says of lists that lag, miss tags or hold stale digests is switched on in HubBehaviour.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from flows.local.sample_registry.hub import HubRow, SampleHub
from flows.local.sample_registry.replies import RefusalError, Reply, json_reply
from flows.local.sample_registry.server import Body
from flows.local.sample_registry.store import Store
from tests.support.fake_registry.faults import Faults, Rule

_REPOSITORY = re.compile(
    r"/v2/(?:namespaces/(?P<namespace>[^/]+)/repositories/(?P<name>[^/]+)"
    r"|repositories/(?P<old_namespace>[^/]+)/(?P<old_name>[^/]+))(?P<tags>/tags)?/?\Z"
)


@dataclass(frozen=True)
class HubBehaviour:
    """What the web API does differently from what one would like.

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


class FakeHub(SampleHub):
    """The web API as an async context manager; `behaviour` may be replaced while it runs.

    With `store` it follows that registry's pushes and deletions. For another registry use
    `hub.pushed(repository, row)` and `hub.deleted(repository, tag)`. `clock` is what a lag is
    measured by, `now` (unix time, seconds) what the rate limit's windows are.
    """

    def __init__(
        self,
        store: Store | None = None,
        behaviour: HubBehaviour | None = None,
        *,
        faults: tuple[Rule, ...] = (),
        port: int = 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(store or Store(), port=port)
        self.behaviour = behaviour or HubBehaviour()
        self.faults = Faults(faults)
        self.server.intercept = self.faults.find
        self._clock = clock
        self._now = now
        self._window_ends = 0.0
        self._left = 0

    def pushed(self, repository: str, row: HubRow) -> None:
        """A tag was pushed to `repository` (namespace/name)."""
        self.rows.setdefault(repository, {})[row.name] = row

    def deleted(self, repository: str, tag: str) -> None:
        """A tag was deleted."""
        del self.rows[repository][tag]

    async def respond(self, request: web.BaseRequest, _body: Body) -> Reply:
        """The reply to a request, counted. Raises RefusalError."""
        headers = self._count()
        if found := _REPOSITORY.match(request.path):
            parts = found.groupdict()
            namespace = parts["namespace"] or parts["old_namespace"]
            name = f"{namespace}/{parts['name'] or parts['old_name']}"
            if name in self.rows:
                document = self.tag_page(request, name) if parts["tags"] else self._about(name)
                return json_reply(document, headers=headers)
        reply = await super().respond(request, _body)
        return replace(reply, headers={**reply.headers, **headers})

    def visible(self, name: str) -> list[HubRow]:
        """The tags that are listed: pushed before the lag, and not hidden."""
        seen_before = self._clock() - self.behaviour.lag
        return [
            row
            for row in super().visible(name)
            if row.name not in self.behaviour.hidden and row.pushed_at <= seen_before
        ]

    def tag_document(self, row: HubRow) -> dict[str, Any]:
        """One tag as the list describes it, with stale or missing digests."""
        document = super().tag_document(row)
        document["digest"] = self.behaviour.stale.get(row.name, row.digest)
        if not self.behaviour.digests:
            document["digest"] = None
        if not self.behaviour.image_digests:
            document["images"] = [{**image, "digest": None} for image in document["images"]]
        return document

    def _about(self, name: str) -> dict[str, Any]:
        held = self.store.repositories.get(name)
        pulls = self.behaviour.pull_counts.get(name, 0) + (held.pulls if held else 0)
        return {**self.repository_document(name), "pull_count": pulls}

    def _count(self) -> dict[str, str]:
        now = self._now()
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
