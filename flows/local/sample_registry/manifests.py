"""Manifests: GET, HEAD, PUT, DELETE (distribution-spec v1.1, "Pulling manifests", "Pushing")."""

from __future__ import annotations

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.call import Call
from flows.local.sample_registry.content import digest_of
from flows.local.sample_registry.digests import TAG, checked, is_digest
from flows.local.sample_registry.documents import ManifestDocument
from flows.local.sample_registry.replies import RefusalError, Reply
from flows.local.sample_registry.store import StoredManifest

MANIFEST_LIMIT = 4 * 1024 * 1024  # bytes that a registry has to take (distribution-spec v1.1)


async def get_manifest(call: Call) -> Reply:
    """GET and HEAD by tag or digest.

    A type that Accept does not name is not found; like distribution, "*/*" names none.
    """
    manifest = _find(call)
    if manifest.media_type not in call.accepts:
        raise RefusalError(
            404,
            "MANIFEST_UNKNOWN",
            f"manifest found, but the accept header does not support {manifest.media_type}",
        )
    if call.method == "GET":
        call.held.pulls += 1
    headers = {
        "Content-Type": manifest.media_type,
        "ETag": f'"{manifest.digest}"',
        "Docker-Content-Digest": manifest.digest,
    }
    return Reply(200, headers, manifest.raw)


async def put_manifest(call: Call) -> Reply:
    """PUT by tag or digest: 201 when everything that it names is there."""
    raw = await call.read(MANIFEST_LIMIT)
    media_type = content_type(call)
    document = ManifestDocument.parse(raw)
    _check_types(document, media_type)
    _check_references(call, document)
    return keep_manifest(call, raw)


def content_type(call: Call) -> str:
    """The media type that a manifest is sent under."""
    return call.headers.get("Content-Type", "").partition(";")[0].strip()


def keep_manifest(call: Call, raw: bytes) -> Reply:
    """Keep a manifest under the call's tag or digest; 201."""
    digest, tag = _names(call.reference, raw)
    call.store.add_manifest(call.repository, StoredManifest(raw, content_type(call), digest), tag)
    headers = {
        "Location": f"/v2/{call.repository}/manifests/{digest}",
        "Docker-Content-Digest": digest,
    }
    subject = ManifestDocument.parse(raw).subject
    if subject is not None:
        headers["OCI-Subject"] = subject.digest
    return Reply(201, headers)


async def delete_manifest(call: Call) -> Reply:
    """DELETE by digest (its tags go too) or by tag; 202."""
    manifest = _find(call)
    if is_digest(call.reference):
        call.held.delete_manifest(manifest.digest)
    else:
        call.held.delete_tag(call.reference)
    return Reply(202)


def _find(call: Call) -> StoredManifest:
    if is_digest(call.reference):
        checked(call.reference)
    manifest = call.held.resolve(call.reference)
    if manifest is None:
        raise RefusalError(
            404, "MANIFEST_UNKNOWN", "manifest unknown", detail={"reference": call.reference}
        )
    return manifest


def _names(reference: str, raw: bytes) -> tuple[str, str | None]:
    """The digest of `raw` and the tag it is put under, None for a digest."""
    if is_digest(reference):
        digest = checked(reference)
        if digest_of(raw, digest.partition(":")[0]) != digest:
            raise RefusalError(
                400, "DIGEST_INVALID", "provided digest did not match uploaded content"
            )
        return digest, None
    if not TAG.match(reference):
        raise RefusalError(400, "TAG_INVALID", f"{reference!r} is not a valid tag")
    return digest_of(raw), reference


def _check_types(document: ManifestDocument, media_type: str) -> None:
    if media_type not in mediatypes.MANIFESTS:
        raise RefusalError(400, "MANIFEST_INVALID", f"unsupported media type {media_type!r}")
    if document.media_type not in {None, media_type}:
        raise RefusalError(
            400,
            "MANIFEST_INVALID",
            f"mediaType is {document.media_type!r}, Content-Type says {media_type!r}",
        )


def _check_references(call: Call, document: ManifestDocument) -> None:
    held = call.store.repository(call.repository)
    for child in document.manifests or ():
        if child.digest not in held.manifests:
            raise _unknown(child.digest)
    for digest in document.blobs:
        if digest not in held.blobs:
            raise _unknown(digest)


def _unknown(digest: str) -> RefusalError:
    return RefusalError(
        400,  # as distribution answers; the specification leaves the status open
        "MANIFEST_BLOB_UNKNOWN",
        "blob unknown to registry",
        detail={"digest": digest},
    )
