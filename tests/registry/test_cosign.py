"""What a registry may answer where cosign keeps signatures: read within bounds, or said why not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from flows.local.sample_registry.content import Content, Image
from flows.local.sample_registry.images import single
from mirror.registry import CosignSignature, Registry, Unreadable, read_signatures
from tests.support.cosign import BUNDLE, Layer, Signer, referrer, signature_tag, signatures
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, endpoint_of, seed

IMAGE = single("cosign")
SIGNER = Signer()
GOOD = SIGNER.simple(IMAGE.digest)
BUNDLED = SIGNER.bundle(IMAGE.digest)
ENVELOPE = json.loads(BUNDLED.content.raw)["dsseEnvelope"]


@asynccontextmanager
async def source(*layers: Layer) -> AsyncIterator[FakeRegistry]:
    """A registry that holds the image, and these layers as its signatures."""
    async with FakeRegistry() as registry:
        seed(registry.store, SOURCE, "1.0", IMAGE)
        if layers:
            seed(registry.store, SOURCE, signature_tag(IMAGE), signatures(layers))
        yield registry


async def read(registry: FakeRegistry) -> list[CosignSignature | Unreadable]:
    """All that is read of the image's signatures."""
    async with Registry(endpoint_of(registry)) as client:
        return [one async for one in read_signatures(client.repository(SOURCE), IMAGE.digest)]


async def read_one(layer: Layer) -> CosignSignature | Unreadable:
    """What is read of one layer."""
    async with source(layer) as registry:
        (one,) = await read(registry)
        return one


def bundle(document: Any) -> Layer:
    """A layer that says it is a bundle."""
    return Layer(Content.of(json.dumps(document).encode(), BUNDLE))


async def test_the_newest_signature_comes_first_and_referrers_after_those_by_tag() -> None:
    older, newer = GOOD, SIGNER.simple(IMAGE.digest, identity={"docker-reference": "newer"})
    async with source(older, newer) as registry:
        seed(registry.store, SOURCE, (), referrer(IMAGE.root, BUNDLED))
        found = [one for one in await read(registry) if isinstance(one, CosignSignature)]
        assert [one.claim for one in found[:2]] == [newer.content.raw, older.content.raw]
        assert [one.envelope for one in found] == [False, False, True]
        assert [one.mistake(IMAGE.digest) for one in found] == [None] * 3


async def test_a_referrer_of_another_kind_or_of_another_image_is_not_read() -> None:
    async with source() as registry:
        sbom = referrer(IMAGE.root, replace(GOOD, content=replace(GOOD.content, raw=b"{}")))
        other = json.loads(sbom.root.raw) | {"artifactType": "application/spdx+json"}
        content = Content.of(json.dumps(other).encode(), sbom.root.media_type)
        seed(registry.store, SOURCE, (), Image(content, blobs=sbom.blobs))
        assert await read(registry) == []


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"verificationMaterial": None},
        {"verificationMaterial": {"publicKey": {}}, "dsseEnvelope": 1},
        {"verificationMaterial": {"publicKey": {}}, "dsseEnvelope": {}},
        {"verificationMaterial": {"publicKey": {}}},
        {"verificationMaterial": {"certificate": {}}, "dsseEnvelope": ENVELOPE},
        {"verificationMaterial": {"publicKey": {}}, "dsseEnvelope": ENVELOPE | {"signatures": []}},
        {"verificationMaterial": {"publicKey": {}}, "dsseEnvelope": ENVELOPE | {"payload": "%"}},
        {
            "verificationMaterial": {"publicKey": {}},
            "dsseEnvelope": ENVELOPE | {"payloadType": "text/plain"},
        },
        {
            "verificationMaterial": {"publicKey": {}},
            "dsseEnvelope": ENVELOPE | {"signatures": [{"sig": None}]},
        },
    ],
)
async def test_a_bundle_that_is_malformed_or_of_another_kind_is_unreadable(document: Any) -> None:
    found = await read_one(bundle(document))
    assert isinstance(found, Unreadable)
    assert found.why


@pytest.mark.parametrize("value", [None, "", "%%%", "MEUCIQ", "ä"])
async def test_a_signature_that_is_no_base64_is_unreadable(value: str | None) -> None:
    annotations = {} if value is None else {"dev.cosignproject.cosign/signature": value}
    assert isinstance(await read_one(replace(GOOD, annotations=annotations)), Unreadable)


@pytest.mark.parametrize(
    "claim",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"critical": null}',
        b'{"critical": {"type": "cosign container image signature"}}',
        b'{"critical": {"type": "cosign container image signature", "image": []}}',
        b"[" * 100_000,
        json.dumps({"critical": {"type": "atomic container signature"}}).encode(),
    ],
    ids=lambda claim: claim[:60].decode(),
)
@pytest.mark.parametrize("envelope", [False, True])
def test_a_claim_that_does_not_name_the_digest_is_a_mistake(claim: bytes, envelope: bool) -> None:
    assert CosignSignature(b"x", claim, claim, envelope).mistake(IMAGE.digest)


@pytest.mark.parametrize(
    "instead",
    [
        {"subject": None},
        {"subject": 1},
        {"subject": [None]},
        {"subject": []},
        {"subject": [{"digest": "sha256"}]},
        {"subject": [{"digest": {"sha512": IMAGE.digest.partition(":")[2]}}]},
        {"predicateType": "https://slsa.dev/provenance/v1"},
        {"_type": "another"},
    ],
    ids=str,
)
def test_a_statement_that_is_not_a_signature_of_the_digest_is_a_mistake(
    instead: dict[str, Any],
) -> None:
    subject = {"digest": {"sha256": IMAGE.digest.partition(":")[2]}}
    good = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [subject],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
    }
    signed = [json.dumps(one).encode() for one in (good, good | instead)]
    found = [CosignSignature(b"x", b"x", one, envelope=True) for one in signed]
    assert found[0].mistake(IMAGE.digest) is None
    assert found[1].mistake(IMAGE.digest)
