"""Key files that `verify: {cosign_key: FILE}` names, and what is signed by their keys."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mirror.config import CosignKey, CosignKeyError, load_cosign_keys, load_settings
from mirror.errors import ConfigError
from tests.support.cosign import Signer

BASE = "source: docker.io/a/b, target: registry.example/a/b"
PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def keys(
    folder: Path, pem: bytes | None, verify: str = "cosign_key: keys/cosign.pub"
) -> list[CosignKey]:
    """The keys of a mirror whose key file holds this; None: there is none."""
    (folder / "keys").mkdir()
    if pem is not None:
        (folder / "keys" / "cosign.pub").write_bytes(pem)
    config = folder / "mirrors.yaml"
    config.write_text(f"mirrors: {{m: {{{BASE}, verify: {{{verify}}}}}}}\n")
    settings = load_settings(config)
    return list(load_cosign_keys(settings.path, settings.mirror("m")))


def test_a_mirror_without_the_key_wants_no_signatures(tmp_path: Path) -> None:
    config = tmp_path / "mirrors.yaml"
    config.write_text(f"mirrors: {{m: {{{BASE}}}}}\n")
    assert load_cosign_keys(config, load_settings(config).mirror("m")) == ()


# Made by `cosign attest-blob --key`: the key and the statement of sigstore/cosign's own test,
# cmd/cosign/cli/verify/verify_blob_attestation_test.go.
COSIGNS_KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAESF79b1ToAtoakhBOHEU5UjnEiihV
gZPFIp557+TOoDxf14FODWc+sIPETk0OgCplAk60doVXbCv33IU4rXZHrg==
-----END PUBLIC KEY-----
"""
COSIGNS_PAYLOAD = base64.b64decode(
    "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjAuMSIsInByZWRpY2F0ZVR5cGUiOiJodHRwcz"
    "ovL3Nsc2EuZGV2L3Byb3ZlbmFuY2UvdjAuMiIsInN1YmplY3QiOlt7Im5hbWUiOiJibG9iIiwiZGlnZXN0Ijp7InNo"
    "YTI1NiI6IjY1ODc4MWNkNGVkOWJjYTYwZGFjZDA5ZjdiYjkxNGJiNTE1MDJlOGI1ZDYxOWY1N2YzOWExZDY1MjU5Nm"
    "NjMjQifX1dLCJwcmVkaWNhdGUiOnsiYnVpbGRlciI6eyJpZCI6IjIifSwiYnVpbGRUeXBlIjoieCIsImludm9jYXRp"
    "b24iOnsiY29uZmlnU291cmNlIjp7fX19fQ=="
)
COSIGNS_SIGNATURE = base64.b64decode(
    "MEUCIA8KjZqkrt90fzBojSwwtj3Bqb41E6ruxQk97TLnpzdYAiEAzOAjOTzyvTHqbpFDAn6zhrg6EZv7kxK5faRoVG"
    "YMh2c="
)


def test_what_cosign_itself_has_signed_verifies_and_not_with_a_byte_changed(tmp_path: Path) -> None:
    (key,) = keys(tmp_path, COSIGNS_KEY)
    kind = b"application/vnd.in-toto+json"
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(COSIGNS_PAYLOAD), COSIGNS_PAYLOAD)
    assert key.signed(signed, COSIGNS_SIGNATURE)
    assert not key.signed(signed + b" ", COSIGNS_SIGNATURE)
    assert not key.signed(signed, COSIGNS_SIGNATURE[:-1] + b"\0")
    assert not key.signed(signed, b"")


@pytest.mark.parametrize(
    "curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name
)
def test_ecdsa_on_each_curve(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    signer = Signer(curve)
    (key,) = keys(tmp_path, signer.public_pem)
    assert key.signed(b"data", signer.sign(b"data"))
    assert not key.signed(b"other", signer.sign(b"data"))


def test_the_larger_curves_with_their_own_hash(tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP384R1())
    (key,) = keys(tmp_path, private.public_key().public_bytes(*PEM))
    assert key.signed(b"data", private.sign(b"data", ec.ECDSA(hashes.SHA384())))
    assert not key.signed(b"data", private.sign(b"data", ec.ECDSA(hashes.SHA512())))


def test_rsa_and_ed25519(tmp_path: Path) -> None:
    one = rsa.generate_private_key(65537, 2048)
    other = ed25519.Ed25519PrivateKey.generate()
    both = b"".join(key.public_key().public_bytes(*PEM) for key in (one, other))
    first, second = keys(tmp_path, both)
    assert first.signed(b"data", one.sign(b"data", padding.PKCS1v15(), hashes.SHA256()))
    assert second.signed(b"data", other.sign(b"data"))
    assert not second.signed(b"other", other.sign(b"data"))
    assert not first.signed(b"data", other.sign(b"data"))


def _private() -> bytes:
    pem = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(*pem)


def _public(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(*PEM)


@pytest.mark.parametrize(
    ("pem", "why"),
    [
        (None, "cannot be read .No such file"),
        (b"", "holds no public key"),
        (b"\x00\xff" * 100_000, "holds no public key"),
        (_private(), "holds a private key"),
        (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nx\n", "holds a private key"),
        (b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "keyless"),
        (b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n", "cannot be parsed"),
        (_public(ec.generate_private_key(ec.SECP256K1())), "kind that is not supported"),
        (_public(rsa.generate_private_key(65537, 1024)), "kind that is not supported"),
    ],
    ids=["none", "empty", "noise", "private", "cosign.key", "certificate", "garbled", "k1", "rsa"],
)
def test_a_file_that_cannot_be_used_is_named_with_what_to_do(
    tmp_path: Path, pem: bytes | None, why: str
) -> None:
    with pytest.raises(CosignKeyError, match=why) as caught:
        keys(tmp_path, pem)
    assert f"mirrors.m.verify.cosign_key: {tmp_path}/keys/cosign.pub" in str(caught.value)


@pytest.mark.parametrize(
    ("verify", "why"),
    [
        ("", "mirrors.m.verify.cosign_key: missing"),
        ("cosign_key: awskms:///alias/x", "must be the path of a file"),
        ("certificate_identity: a@example.com, cosign_key: a", "keyless signatures are not"),
        ("keyless: true, cosign_key: a", "keyless signatures are not supported yet"),
        ("cosign_key: a, wait: soon", "duration such as 30m"),
    ],
)
def test_settings_that_mean_nothing(tmp_path: Path, verify: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        keys(tmp_path, None, verify)
