"""Manifests as registries take and serve them that differ from the specification."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from flows.local.sample_registry import manifests, media_types as mediatypes
from flows.local.sample_registry.digests import is_digest
from flows.local.sample_registry.documents import ManifestDocument
from flows.local.sample_registry.replies import RefusalError, Reply
from tests.support.fake_registry.call import FakeCall, without


async def get_manifest(call: FakeCall) -> Reply:
    """GET and HEAD, perhaps without the digest on HEAD."""
    reply = await manifests.get_manifest(call)
    if call.method == "HEAD" and not call.behaviour.digest_on_head:
        return replace(reply, headers=without(reply, "Docker-Content-Digest"))
    return reply


async def put_manifest(call: FakeCall) -> Reply:
    """PUT, with the refusals of the registry's own, or without a look at what is there."""
    behaviour = call.behaviour
    raw = await call.read(manifests.MANIFEST_LIMIT)
    _check(call, ManifestDocument.parse(raw))
    if behaviour.checks_references:
        reply = await manifests.put_manifest(replace(call, body=lambda: _once(raw)))
    else:
        reply = manifests.keep_manifest(call, raw)
    if not behaviour.subject_acknowledged:
        return replace(reply, headers=without(reply, "OCI-Subject"))
    return reply


async def delete_manifest(call: FakeCall) -> Reply:
    """DELETE, perhaps by digest alone."""
    if not is_digest(call.reference) and not call.behaviour.delete_tags:
        raise RefusalError(400, "DIGEST_INVALID", "only a digest can be deleted")
    return await manifests.delete_manifest(call)


def _check(call: FakeCall, document: ManifestDocument) -> None:
    behaviour = call.behaviour
    config_type = document.config.media_type if document.config else None
    if config_type in behaviour.refused_config_types:
        raise RefusalError(403, "DENIED", f"unknown manifest class for {config_type}")
    if behaviour.refuses_attestations and _attests(document):
        raise RefusalError(400, "MANIFEST_INVALID", "manifest invalid: attestation manifest")
    algorithm, colon, _ = call.reference.partition(":")
    if colon and algorithm not in behaviour.manifest_algorithms:
        raise RefusalError(400, "DIGEST_INVALID", "provided digest did not match uploaded content")


def _attests(document: ManifestDocument) -> bool:
    """Whether it is one of BuildKit's attestations: a layer holds an in-toto statement."""
    return any(layer.media_type == mediatypes.IN_TOTO for layer in document.layers or ())


async def _once(raw: bytes) -> AsyncIterator[bytes]:
    yield raw
