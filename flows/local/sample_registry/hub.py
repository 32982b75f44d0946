"""Docker Hub's web API in front of a sample registry.

    async with SampleRegistry() as registry, SampleHub(registry.store) as hub:
        hub.url                    # for `hub_api` in mirrors.yaml

Paths, fields and order are those of https://docs.docker.com/reference/api/hub/latest/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from flows.local.sample_registry.replies import Reply, json_reply
from flows.local.sample_registry.server import Body, LoggedExchange, LoopbackServer
from flows.local.sample_registry.store import Push, Store, StoredManifest

T = TypeVar("T")
MAX_PAGE = 100

_REPOSITORIES = re.compile(r"/v2/namespaces/(?P<namespace>[^/]+)/repositories/?\Z")
_TAGS = re.compile(r"/v2/namespaces/(?P<namespace>[^/]+)/repositories/(?P<name>[^/]+)/tags/?\Z")


@dataclass(frozen=True)
class HubImage:
    """One platform of a tag; `size` is the sum of its layers in bytes."""

    architecture: str
    os: str
    variant: str | None
    digest: str
    size: int


@dataclass(frozen=True)
class HubRow:
    """One tag. `pushed_at` is aware, UTC; `size` bytes of all its images."""

    name: str
    digest: str
    media_type: str
    pushed_at: datetime
    images: tuple[HubImage, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all images."""
        return sum(image.size for image in self.images)


class SampleHub:
    """The web API as an async context manager: it follows the pushes and deletions of `store`."""

    def __init__(self, store: Store, *, port: int = 0) -> None:
        self.exchanges: list[LoggedExchange] = []
        self.server = LoopbackServer("hub", self.respond, exchanges=self.exchanges, port=port)
        self.store = store
        self.rows: dict[str, dict[str, HubRow]] = {}
        for repository in store.repositories.values():
            for tag, digest in repository.tags.items():
                pushed_at = repository.pushed_at[tag]
                self._follow(Push(repository.name, tag, repository.manifests[digest], pushed_at))
        store.listeners.append(self._follow)

    @property
    def host(self) -> str:
        """host:port."""
        return self.server.host

    @property
    def url(self) -> str:
        """The base address, without a slash at its end: what `hub_api` is set to."""
        return self.server.url

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.server.__aexit__(kind, error, traceback)
        self.store.listeners.remove(self._follow)

    async def respond(self, request: web.BaseRequest, _body: Body) -> Reply:
        """The reply to a request. Raises RefusalError."""
        if (found := _TAGS.match(request.path)) and (name := "/".join(found.groups())) in self.rows:
            return json_reply(self.tag_page(request, name))
        if found := _REPOSITORIES.match(request.path):
            prefix = f"{found['namespace']}/"
            if names := sorted(name for name in self.rows if name.startswith(prefix)):
                return json_reply(self.repository_page(request, names))
        return json_reply({"message": "object not found", "errinfo": {}}, status=404)

    def tag_page(self, request: web.BaseRequest, name: str) -> dict[str, Any]:
        """One page of the tags of repository `name` (namespace/name)."""
        rows = sorted(self.visible(name), key=lambda row: row.name)
        ordering = request.query.get("ordering", "last_updated")
        if ordering.lstrip("-") == "last_updated":
            # Hub's names are the wrong way round: without the minus the newest come first.
            rows.sort(key=lambda row: row.pushed_at, reverse=not ordering.startswith("-"))
        elif ordering.startswith("-"):
            rows.reverse()
        return self._page(request, rows, self.tag_document)

    def repository_page(self, request: web.BaseRequest, names: Sequence[str]) -> dict[str, Any]:
        """One page of a namespace's repositories (Docker Hub API, "List repositories")."""
        return self._page(request, names, self.repository_document)

    def repository_document(self, name: str) -> dict[str, Any]:
        """One repository as the list describes it."""
        namespace, _, repository = name.partition("/")
        pushed = [row.pushed_at for row in self.visible(name)]
        return {
            "name": repository,
            "namespace": namespace,
            "is_private": False,
            "star_count": 0,
            "last_updated": written(max(pushed)) if pushed else None,
        }

    def _page(
        self, request: web.BaseRequest, items: Sequence[T], document: Callable[[T], dict[str, Any]]
    ) -> dict[str, Any]:
        size = min(int(request.query.get("page_size", "10")), MAX_PAGE)
        page = int(request.query.get("page", "1"))
        shown = items[(page - 1) * size : page * size]

        def link(number: int) -> str:
            query = urlencode({**request.query, "page": number, "page_size": size})
            return f"{self.url}{request.path}?{query}"

        return {
            "count": len(items),
            "next": link(page + 1) if page * size < len(items) else None,
            "previous": link(page - 1) if page > 1 else None,
            "results": [document(item) for item in shown],
        }

    def visible(self, name: str) -> list[HubRow]:
        """The tags that are listed: those that the registry still holds."""
        held = self.store.repositories.get(name)
        return [row for row in self.rows[name].values() if held is None or row.name in held.tags]

    def tag_document(self, row: HubRow) -> dict[str, Any]:
        """One tag as the list describes it."""
        pushed_at = written(row.pushed_at)
        return {
            "name": row.name,
            "digest": row.digest,
            "media_type": row.media_type,
            "full_size": row.size,
            "last_updated": pushed_at,
            "tag_last_pushed": pushed_at,
            "tag_last_pulled": None,
            "tag_status": "active",
            "images": [
                {
                    "architecture": image.architecture,
                    "os": image.os,
                    "variant": image.variant,
                    "digest": image.digest,
                    "size": image.size,
                    "status": "active",
                    "last_pushed": pushed_at,
                }
                for image in row.images
            ],
        }

    def _follow(self, push: Push) -> None:
        if push.tag is not None:
            manifests = self.store.repository(push.repository).manifests
            row = _row(push.tag, push.manifest, manifests, push.pushed_at)
            self.rows.setdefault(push.repository, {})[push.tag] = row


def written(moment: datetime) -> str:
    """A moment as the web API writes it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _row(
    tag: str,
    manifest: StoredManifest,
    manifests: Mapping[str, StoredManifest],
    pushed_at: datetime,
) -> HubRow:
    """The row of a tag whose manifest was pushed; `manifests` holds its children by digest."""
    document = json.loads(manifest.raw)
    children = document.get("manifests")
    if children is None:
        images: tuple[HubImage, ...] = (_image(manifest, {}),)
    else:
        images = tuple(
            _image(manifests[child["digest"]], child.get("platform") or {})
            for child in children
            if child["digest"] in manifests
        )
    return HubRow(tag, manifest.digest, manifest.media_type, pushed_at, images)


def _image(manifest: StoredManifest, platform: Mapping[str, str]) -> HubImage:
    layers = json.loads(manifest.raw).get("layers", [])
    return HubImage(
        platform.get("architecture", "amd64"),
        platform.get("os", "linux"),
        platform.get("variant"),
        manifest.digest,
        sum(item["size"] for item in layers),
    )
