"""The public keys by which a mirror's images must be signed (`verify: {cosign_key: FILE}`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirror.config.models import MirrorPolicy
from mirror.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

_MOST: Final = 64 << 10  # bytes of a key file
_LEAST_RSA: Final = 2048  # bits
_PEM: Final = re.compile(rb"-----BEGIN ((?:RSA )?PUBLIC KEY)-----.*?-----END \1-----", re.DOTALL)


class CosignKeyError(ConfigError):
    """A key file that cannot be read, or holds no public key that can be used."""


@dataclass(frozen=True, slots=True)
class CosignKey:
    """A public key of cosign: ECDSA (P-256 by default, P-384, P-521), RSA or Ed25519."""

    key: PublicKey
    file: Path

    def __str__(self) -> str:
        return f"{self.file.name} ({kind_of_key(self.key)})"

    def signed(self, data: bytes, signature: bytes) -> bool:
        """True if `signature` is this key's signature of `data`.

        ECDSA as ASN.1 and RSA by PKCS #1 v1.5, both with SHA-256, as `cosign sign` makes them;
        with the larger curves also their own hash, which its bundles use.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

        key = self.key
        own = hashes.SHA512() if key_bits(key) > 384 else hashes.SHA384()
        for algorithm in (hashes.SHA256(), own):
            try:
                if isinstance(key, ec.EllipticCurvePublicKey):
                    key.verify(signature, data, ec.ECDSA(algorithm))
                elif isinstance(key, rsa.RSAPublicKey):
                    key.verify(signature, data, padding.PKCS1v15(), algorithm)
                else:
                    key.verify(signature, data)
            except InvalidSignature:
                if not isinstance(key, ec.EllipticCurvePublicKey) or key_bits(key) == 256:
                    return False
            else:
                return True
        return False


def load_cosign_keys(config: Path, mirror: MirrorPolicy) -> tuple[CosignKey, ...]:
    """The keys in a mirror's key file, of which one must have signed; empty without `verify`.

    `config` is the path of mirrors.yaml, to which that of the key file is relative. Blocks.
    Raises CosignKeyError.
    """
    if mirror.verify is None:
        return ()
    file = config.parent / mirror.verify.cosign_key
    where = f"{config}: mirrors.{mirror.name}.verify.cosign_key: {file}"
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST + 1)
    except OSError as error:
        raise CosignKeyError(
            f"{where} cannot be read ({error.strerror}): put the public key that"
            " `cosign generate-key-pair` writes as cosign.pub there"
        ) from None
    if b"PRIVATE KEY-----" in text:
        raise CosignKeyError(
            f"{where} holds a private key, which does not belong here: name the public one,"
            " cosign.pub"
        )
    if b"-----BEGIN CERTIFICATE-----" in text:
        raise CosignKeyError(
            f"{where} holds a certificate: name the file of a public key; keyless signatures are"
            " not supported yet"
        )
    blocks = [found.group() for found in _PEM.finditer(text)] if len(text) <= _MOST else []
    if not blocks:
        raise CosignKeyError(
            f"{where} holds no public key in PEM: name the file that `cosign generate-key-pair`"
            " writes as cosign.pub"
        )
    return tuple(CosignKey(_read(block, where), file) for block in blocks)


def kind_of_key(key: PublicKey) -> str:
    """What a key is, in words, such as `ECDSA P-256`."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA P-{key.key_size}"
    return f"RSA {key.key_size}" if isinstance(key, rsa.RSAPublicKey) else "Ed25519"


def key_bits(key: PublicKey) -> int:
    """The size of a key in bits."""
    return int(getattr(key, "key_size", 256))


def _read(block: bytes, where: str) -> PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(block)
    except (ValueError, UnsupportedAlgorithm):
        raise CosignKeyError(
            f"{where} holds a public key that cannot be parsed: write it again with"
            " `cosign public-key`"
        ) from None
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA:
        return key
    raise CosignKeyError(
        f"{where} holds a public key of a kind that is not supported: use ECDSA P-256 (cosign's"
        f" default), P-384 or P-521, Ed25519, or RSA of at least {_LEAST_RSA} bits"
    )


_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
