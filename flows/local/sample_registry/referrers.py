"""The referrers API (distribution-spec v1.1, "Listing Referrers")."""

from __future__ import annotations

from typing import Any

from flows.local.fake_registry import media_types as mediatypes
from flows.local.fake_registry.answers import Answer, RefusalError, json_answer
from flows.local.fake_registry.call import Call
from flows.local.fake_registry.digests import checked
from flows.local.fake_registry.documents import Document
from flows.local.fake_registry.store import StoredManifest


async def list_referrers(call: Call) -> Answer:
    """An index of the manifests whose subject is the digest; filtered by artifactType."""
    if not call.behaviour.referrers:
        raise RefusalError(404, "NOT_FOUND", "404 page not found")
    subject = checked(call.reference)
    held = call.store.repositories.get(call.repository)
    manifests = held.manifests.values() if held else ()
    found = [entry for stored in manifests if (entry := _referrer(stored, subject))]
    headers = {}
    if (wanted := call.query.get("artifactType")) is not None:
        found = [entry for entry in found if entry.get("artifactType") == wanted]
        headers["OCI-Filters-Applied"] = "artifactType"
    return json_answer(
        {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": found},
        headers=headers,
        content_type=mediatypes.OCI_INDEX,
    )


def _referrer(stored: StoredManifest, subject: str) -> dict[str, Any] | None:
    if b'"subject"' not in stored.raw:
        return None
    document = Document.parse(stored.raw)
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
