"""The endpoints of distribution-spec v1.1 and their handlers, as one table."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from flows.local.sample_registry.blobs import delete_blob, get_blob
from flows.local.sample_registry.call import Call
from flows.local.sample_registry.digests import NAME
from flows.local.sample_registry.listings import list_referrers, list_repositories, list_tags
from flows.local.sample_registry.manifests import delete_manifest, get_manifest, put_manifest
from flows.local.sample_registry.replies import RefusalError, Reply
from flows.local.sample_registry.uploads import (
    delete_upload,
    get_upload,
    patch_upload,
    put_upload,
    start_upload,
)

Handler = Callable[[Call], Awaitable[Reply]]


async def ping(_call: Call) -> Reply:
    """GET /v2/: the registry exists and lets the caller in."""
    return Reply(200, {"Content-Type": "application/json"}, b"{}")


@dataclass(frozen=True)
class Route:
    """A path's pattern, the action that its scope needs, and a handler per method."""

    path: re.Pattern[str]
    handlers: dict[str, tuple[str, Handler]]


@dataclass(frozen=True)
class Match:
    """The handler of a request and what its path names."""

    handler: Handler
    action: str
    repository: str
    reference: str


_READ_BLOB = ("pull", get_blob)
_READ_MANIFEST = ("pull", get_manifest)

ROUTES = (
    Route(
        re.compile(rf"/v2/(?P<name>{NAME})/manifests/(?P<reference>[^/]+)\Z"),
        {
            "GET": _READ_MANIFEST,
            "HEAD": _READ_MANIFEST,
            "PUT": ("push", put_manifest),
            "DELETE": ("delete", delete_manifest),
        },
    ),
    Route(
        re.compile(rf"/v2/(?P<name>{NAME})/blobs/uploads/(?P<reference>[0-9a-f-]+)\Z"),
        {
            "GET": ("push", get_upload),
            "PATCH": ("push", patch_upload),
            "PUT": ("push", put_upload),
            "DELETE": ("push", delete_upload),
        },
    ),
    Route(re.compile(rf"/v2/(?P<name>{NAME})/blobs/uploads/\Z"), {"POST": ("push", start_upload)}),
    Route(
        re.compile(rf"/v2/(?P<name>{NAME})/blobs/(?P<reference>[^/]+)\Z"),
        {"GET": _READ_BLOB, "HEAD": _READ_BLOB, "DELETE": ("delete", delete_blob)},
    ),
    Route(re.compile(rf"/v2/(?P<name>{NAME})/tags/list\Z"), {"GET": ("pull", list_tags)}),
    Route(
        re.compile(rf"/v2/(?P<name>{NAME})/referrers/(?P<reference>[^/]+)\Z"),
        {"GET": ("pull", list_referrers)},
    ),
    Route(re.compile(r"/v2/_catalog\Z"), {"GET": ("pull", list_repositories)}),
    Route(re.compile(r"/v2/\Z"), {"GET": ("pull", ping), "HEAD": ("pull", ping)}),
)


def match(method: str, path: str) -> Match:
    """The handler of a request; 404 for an unknown path, 405 for a method it does not have."""
    for route in ROUTES:
        found = route.path.match(path)
        if found is None:
            continue
        if method not in route.handlers:
            raise RefusalError(405, "UNSUPPORTED", "the operation is unsupported")
        action, handler = route.handlers[method]
        parts = found.groupdict()
        return Match(handler, action, parts.get("name", ""), parts.get("reference", ""))
    raise RefusalError(404, "NOT_FOUND", f"{path} is not a path of this registry")
