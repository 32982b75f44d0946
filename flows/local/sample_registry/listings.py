"""Tags, repositories and referrers (distribution-spec v1.1, "Content Discovery")."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.call import Call
from flows.local.sample_registry.digests import checked
from flows.local.sample_registry.documents import ManifestDocument
from flows.local.sample_registry.replies import RefusalError, Reply, json_reply
from flows.local.sample_registry.store import StoredManifest


async def list_tags(call: Call) -> Reply:
    """Tags in lexical order, after `last`, at most `n`, with a Link to the next page."""
    page, headers = _page(call, f"/v2/{call.repository}/tags/list", sorted(call.held.tags))
    return json_reply({"name": call.repository, "tags": page}, headers=headers)


async def list_repositories(call: Call) -> Reply:
    """Repository names, paged like tags."""
    page, headers = _page(call, "/v2/_catalog", sorted(call.store.repositories))
    return json_reply({"repositories": page}, headers=headers)


async def list_referrers(call: Call) -> Reply:
    """An index of the manifests whose subject is the digest; filtered by artifactType."""
    subject = checked(call.reference)
    held = call.store.repositories.get(call.repository)
    manifests = held.manifests.values() if held else ()
    found = [entry for stored in manifests if (entry := _referrer(stored, subject))]
    headers = {}
    if (wanted := call.query.get("artifactType")) is not None:
        found = [entry for entry in found if entry.get("artifactType") == wanted]
        headers["OCI-Filters-Applied"] = "artifactType"
    return json_reply(
        {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": found},
        headers=headers,
        content_type=mediatypes.OCI_INDEX,
    )


def _page(call: Call, path: str, names: list[str]) -> tuple[list[str], dict[str, str]]:
    size = call.query.get("n")
    if size is not None and not size.isdigit():
        raise RefusalError(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
    limit = int(size) if size is not None else len(names)
    after = [name for name in names if name > call.query.get("last", "")]
    page = after[:limit]
    if not page or len(page) == len(after):
        return page, {}
    query = urlencode({"last": page[-1], "n": limit})
    return page, {"Link": f'<{path}?{query}>; rel="next"'}


def _referrer(stored: StoredManifest, subject: str) -> dict[str, Any] | None:
    if b'"subject"' not in stored.raw:
        return None
    document = ManifestDocument.parse(stored.raw)
    if document.subject is None or document.subject.digest != subject:
        return None
    descriptor = {
        "mediaType": stored.media_type,
        "digest": stored.digest,
        "size": len(stored.raw),
        "artifactType": document.kind,
        "annotations": document.annotations,
    }
    return {key: value for key, value in descriptor.items() if value is not None}
