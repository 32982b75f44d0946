"""Manifests: GET, HEAD, PUT, DELETE (distribution-spec v1.1, "Pulling manifests", "Pushing")."""

from __future__ import annotations

from flows.local.fake_registry import media_types as mediatypes
from flows.local.fake_registry.answers import Answer, RefusalError
from flows.local.fake_registry.call import Call
from flows.local.fake_registry.digests import TAG, checked, digest_of, is_digest
from flows.local.fake_registry.documents import Document
from flows.local.fake_registry.store import StoredManifest


async def get_manifest(call: Call) -> Answer:
    """GET and HEAD by tag or digest.

    A type that Accept does not name is not found, and "*/*" names none: so says distribution.
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
    headers = {"Content-Type": manifest.media_type, "ETag": f'"{manifest.digest}"'}
    if call.method == "GET" or call.behaviour.digest_on_head:
        headers["Docker-Content-Digest"] = manifest.digest
    return Answer(200, headers, manifest.raw)


async def put_manifest(call: Call) -> Answer:
    """PUT by tag or digest: 201 when everything that it names is there."""
    raw = await call.read(call.behaviour.manifest_limit)
    media_type = call.headers.get("Content-Type", "").partition(";")[0].strip()
    document = Document.parse(raw)
    _check_types(call, document, media_type)
    if call.behaviour.checks_references:
        _check_references(call, document)
    digest, tag = _names(call, raw)
    call.store.add_manifest(call.repository, StoredManifest(raw, media_type, digest), tag)
    location = call.location(f"/v2/{call.repository}/manifests/{digest}")
    headers = {"Location": location, "Docker-Content-Digest": digest}
    if document.subject is not None and call.behaviour.subject_acknowledged:
        headers["OCI-Subject"] = document.subject.digest
    return Answer(201, headers)


async def delete_manifest(call: Call) -> Answer:
    """DELETE by digest (its tags go too) or by tag; 202."""
    if is_digest(call.reference):
        call.held.delete_manifest(_find(call).digest)
        return Answer(202)
    if not call.behaviour.delete_tags:
        raise RefusalError(400, "DIGEST_INVALID", "only a digest can be deleted")
    _find(call)
    call.held.delete_tag(call.reference)
    return Answer(202)


def _find(call: Call) -> StoredManifest:
    if is_digest(call.reference):
        checked(call.reference)
    manifest = call.held.resolve(call.reference)
    if manifest is None:
        raise RefusalError(
            404, "MANIFEST_UNKNOWN", "manifest unknown", detail={"reference": call.reference}
        )
    return manifest


def _names(call: Call, raw: bytes) -> tuple[str, str | None]:
    reference = call.reference
    if is_digest(reference):
        digest = checked(reference)
        algorithm = digest.partition(":")[0]
        known = algorithm in call.behaviour.manifest_algorithms
        if not known or digest_of(raw, algorithm) != digest:
            raise RefusalError(
                400, "DIGEST_INVALID", "provided digest did not match uploaded content"
            )
        return digest, None
    if not TAG.match(reference):
        raise RefusalError(400, "TAG_INVALID", f"{reference!r} is not a valid tag")
    return digest_of(raw), reference


def _check_types(call: Call, document: Document, media_type: str) -> None:
    behaviour = call.behaviour
    if media_type in mediatypes.SCHEMA1 and behaviour.refuses_schema1:
        raise RefusalError(400, "MANIFEST_INVALID", "schema 1 manifests are not supported")
    if media_type not in mediatypes.MANIFESTS | mediatypes.SCHEMA1:
        raise RefusalError(400, "MANIFEST_INVALID", f"unsupported media type {media_type!r}")
    if document.media_type not in {None, media_type}:
        raise RefusalError(
            400,
            "MANIFEST_INVALID",
            f"mediaType is {document.media_type!r}, Content-Type says {media_type!r}",
        )
    config_type = document.config.media_type if document.config else None
    if config_type in behaviour.refused_config_types:
        raise RefusalError(403, "DENIED", f"unknown manifest class for {config_type}")
    if behaviour.refuses_attestations and document.attests:
        raise RefusalError(400, "MANIFEST_INVALID", "manifest invalid: attestation manifest")


def _check_references(call: Call, document: Document) -> None:
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
