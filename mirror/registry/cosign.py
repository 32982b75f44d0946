"""Signatures of cosign: where they are kept, and what they sign.

Two storages: the tag `sha256-<hex>.sig` next to the image (cosign specs/SIGNATURE_SPEC.md), and
referrers (specs/BUNDLE_SPEC.md, and cosign's registry-referrers-mode=oci-1-1). Two forms: simple
signing, and an in-toto statement in a DSSE envelope in a Sigstore bundle. Nothing here is verified.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from mirror.outside_text import one_line
from mirror.registry.referrers import fallback_tag
from mirror.registry.registry import Repository
from mirror.registry.spec import (
    BudgetExceeded,
    Denied,
    Descriptor,
    DigestMismatch,
    InvalidManifest,
    Manifest,
    NotFound,
    UnsupportedMediaType,
    load_object,
    parse_digest,
)

MOST_SIGNATURES: Final = 100  # of one image that are read, the newest first
MOST_REFERRERS: Final = 50  # manifests of them
MOST_BYTES: Final = 256 << 10  # of one payload or bundle

_SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE_ARTIFACT: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
_BUNDLE: Final = "application/vnd.dev.sigstore.bundle"
_BUNDLES: Final = (f"{_BUNDLE}.v0.3+json", f"{_BUNDLE}+json;version=0.3")
_SIGNATURE: Final = "dev.cosignproject.cosign/signature"
_PREDICATE: Final = "dev.sigstore.bundle.predicateType"
_SIGNED: Final = "https://sigstore.dev/cosign/sign/v1"
_CLAIM: Final = "cosign container image signature"
_STATEMENTS: Final = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_IN_TOTO: Final = "application/vnd.in-toto+json"
_UNREADABLE: Final = (
    BudgetExceeded,
    Denied,  # some registries answer so for what is absent
    DigestMismatch,
    InvalidManifest,
    NotFound,
    UnsupportedMediaType,
)


@dataclass(frozen=True, slots=True)
class CosignSignature:
    """A signature as it is stored.

    signed: the bytes that it signs. claim: what they say, not to be believed before the signature
    is verified. envelope: whether the claim is an in-toto statement.
    """

    signature: bytes
    signed: bytes
    claim: bytes
    envelope: bool

    def mistake(self, digest: str) -> str | None:
        """Why the claim is no signature of the image `digest`; None if it is one."""
        try:
            document = load_object(self.claim, "the payload")
            return (_statement if self.envelope else _simple_signing)(document, digest)
        except (InvalidManifest, AttributeError, TypeError):
            return "its payload is malformed"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A signature, or several, that could not be read, and why."""

    why: str


async def read_signatures(
    repository: Repository, digest: str
) -> AsyncGenerator[CosignSignature | Unreadable, None]:
    """What claims to sign the manifest `digest`: by tag, then by referrers, the newest first.

    Reads no more than a caller asks for. Raises RegistryError where the registry fails; what it
    has in another form than cosign's, or more of than the budgets allow, is Unreadable.
    """
    left = MOST_SIGNATURES
    async with aclosing(_stored(repository, digest)) as stored:
        async for one in stored:
            if isinstance(one, Unreadable):
                yield one
                continue
            if left == 0:
                yield Unreadable(f"only the newest {MOST_SIGNATURES} signatures were read")
                return
            left -= 1
            yield await _read(repository, one)


async def _stored(
    repository: Repository, digest: str
) -> AsyncGenerator[Descriptor | Unreadable, None]:
    """The layers that hold signatures."""
    tag = f"{fallback_tag(digest)}.sig"
    try:
        manifest = await repository.get_manifest(tag)
    except NotFound:
        pass
    except _UNREADABLE as error:
        yield Unreadable(f"{tag}: {error}")
    else:
        for layer in reversed(manifest.layers):
            yield layer
    listed = [one for one in await repository.referrers(digest) if _may_sign(one)]
    for one in list(reversed(listed))[:MOST_REFERRERS]:
        try:
            manifest = await repository.get_manifest(one.digest)
        except _UNREADABLE as error:
            yield Unreadable(f"{one.digest}: {error}")
            continue
        if _refers(manifest, digest):
            for layer in reversed(manifest.layers):
                yield layer
    if len(listed) > MOST_REFERRERS:
        yield Unreadable(f"only the last {MOST_REFERRERS} of {len(listed)} referrers were read")


def _may_sign(referrer: Descriptor) -> bool:
    """True for a referrer that may hold a signature of the image."""
    kind = referrer.artifact_type
    if kind is not None and kind.startswith(_BUNDLE):
        return referrer.annotations.get(_PREDICATE, _SIGNED) == _SIGNED
    return kind in (None, "", _SIGNATURE_ARTIFACT)


def _refers(manifest: Manifest, digest: str) -> bool:
    """Whether the manifest names the subject: lists can be wrong."""
    return manifest.subject is not None and manifest.subject.digest == digest


async def _read(repository: Repository, layer: Descriptor) -> CosignSignature | Unreadable:
    simple = layer.media_type == _SIMPLE_SIGNING
    if not simple and layer.media_type not in _BUNDLES:
        kind = one_line(layer.media_type, 120) or "no type"
        return Unreadable(f"a layer of {kind}, which is no signature in a form that is supported")
    if layer.size > MOST_BYTES:
        return Unreadable(f"a payload of {layer.size:,} bytes, above the budget of {MOST_BYTES:,}")
    try:
        content = layer.data if layer.data is not None else await _blob(repository, layer)
    except _UNREADABLE as error:
        return Unreadable(str(error))
    try:
        if not simple:
            return _bundle(content)
        signature = _base64(layer.annotations.get(_SIGNATURE))
    except (InvalidManifest, AttributeError, IndexError, KeyError, TypeError, ValueError):
        return Unreadable(f"{layer.digest} is malformed")
    return CosignSignature(signature, content, content, envelope=False)


async def _blob(repository: Repository, layer: Descriptor) -> bytes:
    async with aclosing(repository.read_blob(layer)) as pieces:
        return b"".join([piece async for piece in pieces])


def _bundle(content: bytes) -> CosignSignature | Unreadable:
    """The signature in a Sigstore bundle (protobuf-specs, sigstore_bundle.proto), by its key alone:
    its entries of a transparency log and its timestamps are not looked at."""
    document = load_object(content, "the bundle")
    if "publicKey" not in document["verificationMaterial"]:
        return Unreadable("a keyless signature, which is not supported yet")
    envelope = document.get("dsseEnvelope")
    if envelope is None:
        return Unreadable("a bundle without a DSSE envelope, which signs no image")
    kind, payload = envelope["payloadType"], _base64(envelope["payload"])
    if kind != _IN_TOTO:
        return Unreadable("a DSSE envelope that holds no in-toto statement")
    (signature,) = envelope["signatures"]  # more than one is not allowed in a bundle
    return CosignSignature(_base64(signature["sig"]), _encoded(kind, payload), payload, True)


def _encoded(kind: str, payload: bytes) -> bytes:
    """What a DSSE envelope signs: PAE(type, payload) (secure-systems-lab/dsse, protocol.md)."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def _base64(text: Any) -> bytes:
    if not isinstance(text, str) or not text:
        raise ValueError("no base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _simple_signing(document: dict[str, Any], digest: str) -> str | None:
    critical = document.get("critical", {})
    if critical.get("type") != _CLAIM:
        return f"its payload is no {_CLAIM!r}"
    signed = critical.get("image", {}).get("docker-manifest-digest")
    return None if signed == digest else f"it signs {_shown(signed)}"


def _statement(document: dict[str, Any], digest: str) -> str | None:
    if document.get("_type") not in _STATEMENTS or document.get("predicateType") != _SIGNED:
        return f"it attests {_shown(document.get('predicateType'))}, which signs no image"
    subject = parse_digest(digest)
    signed = [one["digest"] for one in document.get("subject", ()) if "digest" in one]
    if any(one.get(subject.algorithm) == subject.encoded for one in signed):
        return None
    others = [f"{algorithm}:{encoded}" for one in signed[:1] for algorithm, encoded in one.items()]
    return f"it signs {_shown(', '.join(others))}"


def _shown(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value), 120)
