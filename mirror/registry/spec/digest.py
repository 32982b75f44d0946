"""Digests of the OCI image specification (descriptor.md, "Digests"): sha256 and sha512."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Protocol

from mirror.outside_text import one_line
from mirror.registry.spec.errors import InvalidReference

_LENGTHS: Final = {"sha256": 64, "sha512": 128}
_HEX: Final = re.compile(r"[a-f0-9]+", re.ASCII)


class Hasher(Protocol):
    """The part of hashlib's objects that verifying needs."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Digest:
    """A content digest, `algorithm:encoded`."""

    algorithm: str
    encoded: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"

    def hasher(self) -> Hasher:
        """A fresh hash of this digest's algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)

    def matches(self, data: bytes) -> bool:
        """Whether this is the digest of `data`."""
        hasher = self.hasher()
        hasher.update(data)
        return hasher.hexdigest() == self.encoded


def parse_digest(text: str) -> Digest:
    """Read `sha256:<64 hex>` or `sha512:<128 hex>`.

    Raises InvalidReference for anything else, other algorithms included.
    """
    algorithm, _, encoded = text.partition(":")
    if len(encoded) != _LENGTHS.get(algorithm, 0) or not _HEX.fullmatch(encoded):
        raise InvalidReference(
            f"{one_line(text, 160)!r} is not a digest: sha256:<64 hex> or sha512:<128 hex>"
        )
    return Digest(algorithm, encoded)


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """The digest of `data` as text."""
    return f"{algorithm}:{hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()}"
