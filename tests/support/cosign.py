"""Signatures as `cosign sign --key` makes them, by the library cryptography.

Forms and storages: cosign specs/SIGNATURE_SPEC.md and specs/BUNDLE_SPEC.md; cmd/cosign/cli/sign
(signDigest, signDigestBundle) and pkg/oci/remote/write.go of cosign 3.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flows.local.sample_registry import media_types as mediatypes
from flows.local.sample_registry.content import Content, Document, Image, blobs_of, manifest
from flows.local.sample_registry.images import EMPTY

SIGNATURE = "dev.cosignproject.cosign/signature"
SIGNATURE_ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNED = "https://sigstore.dev/cosign/sign/v1"
IN_TOTO = "application/vnd.in-toto+json"


@dataclass(frozen=True)
class Layer:
    """A signature as a layer: its payload, and the annotations of its descriptor."""

    content: Content
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def descriptor(self) -> Document:
        """As the signature's manifest has it."""
        more: dict[str, Any] = {"annotations": self.annotations} if self.annotations else {}
        return self.content.descriptor(**more)


class Signer:
    """A pair of keys, as `cosign generate-key-pair` makes it: ECDSA P-256."""

    def __init__(self, curve: ec.EllipticCurve | None = None) -> None:
        self._key = ec.generate_private_key(curve or ec.SECP256R1())

    @property
    def public_pem(self) -> bytes:
        """cosign.pub."""
        kind = PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(Encoding.PEM, kind)

    def write_public(self, file: Path) -> Path:
        """Write cosign.pub."""
        file.write_bytes(self.public_pem)
        return file

    def sign(self, data: bytes) -> bytes:
        """ECDSA with SHA-256, as ASN.1."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))

    def simple(self, digest: str, **instead: Any) -> Layer:
        """A simple signing payload; `instead` are other values of its `critical`."""
        critical = {
            "identity": {"docker-reference": "docker.io/hagicode/app"},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        } | instead
        payload = json.dumps(
            {"critical": critical, "optional": None}, separators=(",", ":")
        ).encode()
        content = Content.of(payload, mediatypes.COSIGN_SIGNATURE)
        return Layer(content, {SIGNATURE: base64.b64encode(self.sign(payload)).decode()})

    def bundle(self, digest: str, predicate: str = SIGNED, **instead: Any) -> Layer:
        """A Sigstore bundle with a DSSE envelope; `instead` are other keys of the bundle."""
        algorithm, _, encoded = digest.partition(":")
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {algorithm: encoded}}],
            "predicateType": predicate,
            "predicate": {},
        }
        payload = json.dumps(statement).encode()
        encoding = f"DSSEv1 {len(IN_TOTO)} {IN_TOTO} {len(payload)} ".encode() + payload
        document = {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": "abc"}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": IN_TOTO,
                "signatures": [{"sig": base64.b64encode(self.sign(encoding)).decode()}],
            },
        } | instead
        return Layer(Content.of(json.dumps(document).encode(), BUNDLE))


def signature_tag(image: Image) -> str:
    """Where cosign keeps the signatures of an image: `sha256-<hex>.sig`."""
    return f"{image.digest.replace(':', '-', 1)}.sig"


def signatures(layers: Sequence[Layer]) -> Image:
    """The manifest of signatures that cosign puts under that tag."""
    config = Content.of(
        json.dumps({"architecture": "", "os": "", "rootfs": {"type": "layers"}}).encode(),
        mediatypes.OCI_CONFIG,
    )
    root = manifest(config, [layer.descriptor for layer in layers])
    return Image(root, blobs=blobs_of(config, *(layer.content for layer in layers)))


def referrer(subject: Content, layer: Layer) -> Image:
    """A manifest that refers to what it signs: a bundle, or simple signing (oci-1-1)."""
    if layer.content.media_type != BUNDLE:
        config = Content.of(b"{}", SIGNATURE_ARTIFACT)
        root = manifest(
            config,
            [layer.descriptor],
            artifactType=SIGNATURE_ARTIFACT,
            subject=subject.descriptor(),
        )
        return Image(root, blobs=blobs_of(config, layer.content))
    annotations = {
        "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": SIGNED,
    }
    root = manifest(
        EMPTY,
        [layer.descriptor],
        artifactType=BUNDLE,
        annotations=annotations,
        subject=subject.descriptor(),
    )
    return Image(root, blobs=blobs_of(EMPTY, layer.content))
