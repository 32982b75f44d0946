"""Digests and names as the sample registry checks them (distribution-spec v1.1, "Pulling")."""

from __future__ import annotations

import re

from flows.local.sample_registry.replies import RefusalError

NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_LENGTHS = {"sha256": 64, "sha512": 128}


def is_digest(reference: str) -> bool:
    """Whether a reference is a digest rather than a tag: a tag never holds a colon."""
    return ":" in reference


def checked(digest: str) -> str:
    """`digest` when it is a well-formed sha256 or sha512 digest; 400 DIGEST_INVALID otherwise."""
    algorithm, _, encoded = digest.partition(":")
    length = _LENGTHS.get(algorithm)
    if length is None or not re.fullmatch(rf"[0-9a-f]{{{length}}}", encoded):
        raise RefusalError(
            400, "DIGEST_INVALID", "provided digest did not match uploaded content", detail=digest
        )
    return digest
