"""Descriptors and platforms (OCI image-spec v1.1, descriptor.md and image-index.md)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mirror.outside_text import one_line
from mirror.registry.spec.digest import parse_digest
from mirror.registry.spec.errors import InvalidManifest

_MAX_SIZE: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Platform:
    """What a child of an index runs on."""

    os: str
    architecture: str
    variant: str | None = None

    def __str__(self) -> str:
        tail = f"/{self.variant}" if self.variant else ""
        return f"{self.os}/{self.architecture}{tail}"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content: its media type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None  # the content itself, where the descriptor carries it
    artifact_type: str | None = None


def read_descriptor(document: object, where: str) -> Descriptor:
    """Read a descriptor from JSON; `where` names it in the error.

    Raises InvalidManifest when a required property is missing or of the wrong type.
    """
    if not isinstance(document, dict):
        raise InvalidManifest(f"{where} is not a descriptor but {type(document).__name__}")
    digest = _text(document, "digest", where) or ""
    try:
        parse_digest(digest)
    except ValueError as error:
        raise InvalidManifest(f"{where}: {error}") from None
    size = document.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        raise InvalidManifest(
            f"{where}: the size {one_line(repr(size), 60)} is not a number of bytes"
        )
    return Descriptor(
        media_type=_text(document, "mediaType", where) or "",
        digest=digest,
        size=size,
        platform=_platform(document.get("platform"), where),
        annotations=read_annotations(document, where),
        data=_data(document, digest, size, where),
        artifact_type=_text(document, "artifactType", where),
    )


def read_annotations(document: Mapping[str, Any], where: str) -> dict[str, str]:
    """The `annotations` of a manifest or descriptor."""
    found = document.get("annotations")
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise InvalidManifest(f"{where}: annotations are not a map of text to text")
    return dict(found)


def _platform(document: object, where: str) -> Platform | None:
    if document is None:
        return None
    if not isinstance(document, dict):
        raise InvalidManifest(f"{where}: platform is {type(document).__name__}")
    return Platform(
        os=_text(document, "os", where) or "",
        architecture=_text(document, "architecture", where) or "",
        variant=_text(document, "variant", where) or None,
    )


def _data(document: Mapping[str, Any], digest: str, size: int, where: str) -> bytes | None:
    # image-spec: a client SHOULD check `data` against digest and size; one that does not match
    # counts as absent, since the content can be fetched by its digest.
    text = _text(document, "data", where)
    if text is None:
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) == size and parse_digest(digest).matches(data) else None


def _text(document: Mapping[str, Any], key: str, where: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidManifest(f"{where}: {key} is {type(value).__name__}, not text")
    return value
