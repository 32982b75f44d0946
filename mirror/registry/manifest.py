"""Manifests and indexes: the bytes as they came, and what they say.

OCI image-spec v1.1 (manifest.md, image-index.md), docker's image manifest v2 schema 2 and
manifest list. Bytes are never re-serialised, except by `without`, which makes a new index.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mirror.registry import media_type as mediatypes
from mirror.registry.descriptor import Descriptor, read_annotations, read_descriptor
from mirror.registry.digest import digest_of, parse_digest
from mirror.registry.errors import (
    DigestMismatch,
    InvalidManifest,
    InvalidReference,
    UnsupportedMediaType,
    one_line,
)

MAX_BYTES: Final = 8 << 20  # more than any registry must take (4 MiB), little enough to hold


@dataclass(frozen=True)
class Manifest:
    """A manifest or index. `raw` are its bytes, `digest` is theirs."""

    raw: bytes = field(repr=False)
    media_type: str
    digest: str

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "", digest: str | None = None) -> Manifest:
        """Check bytes and read what they say.

        `media_type` is the Content-Type that came with them, empty or unspecific if unknown;
        `digest` is what they must match (None: sha256 of the bytes is taken).
        Raises DigestMismatch, InvalidManifest, and UnsupportedMediaType for schema 1.
        """
        if digest is None:
            digest = digest_of(raw)
        else:
            try:
                wanted = parse_digest(digest)
            except InvalidReference as error:
                raise InvalidManifest(str(error)) from None
            if not wanted.matches(raw):
                raise DigestMismatch(
                    f"the {len(raw)} bytes that came for manifest {digest} are {digest_of(raw)}",
                    reference=digest,
                )
        document = load_object(raw, f"manifest {digest}")
        manifest = cls(raw, _media_type(document, mediatypes.essence(media_type), digest), digest)
        manifest._read()  # every property is checked now, so that reading it later cannot fail
        return manifest

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.raw)

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in mediatypes.INDEXES

    @cached_property
    def children(self) -> tuple[Descriptor, ...]:
        """The manifests that an index lists, in its order; empty for others."""
        return self._descriptors("manifests") if self.is_index else ()

    @cached_property
    def config(self) -> Descriptor | None:
        """The config blob; None for an index."""
        return None if self.is_index else self._descriptor("config")

    @cached_property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers in their order, repeated ones too; empty for an index."""
        if self.is_index:
            return ()
        return self._descriptors(
            "blobs" if self.media_type == mediatypes.OCI_ARTIFACT else "layers"
        )

    @cached_property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers, each digest once, non-distributable and empty ones too."""
        found = (self.config, *self.layers) if self.config else self.layers
        return tuple({blob.digest: blob for blob in found}.values())

    @cached_property
    def subject(self) -> Descriptor | None:
        """The manifest that this one refers to (signature, SBOM)."""
        return self._descriptor("subject")

    @cached_property
    def annotations(self) -> dict[str, str]:
        """Annotations of the manifest itself."""
        return read_annotations(self._document, f"manifest {self.digest}")

    @cached_property
    def artifact_type(self) -> str | None:
        """The type of artifact: its own property, else the config's media type."""
        found = self._document.get("artifactType")
        if isinstance(found, str) and found:
            return found
        return self.config.media_type if self.config else None

    @cached_property
    def descriptor(self) -> Descriptor:
        """What an index or a referrers list would say of this manifest."""
        return Descriptor(
            self.media_type,
            self.digest,
            len(self.raw),
            annotations=self.annotations,
            artifact_type=self.artifact_type,
        )

    def without(self, children: Collection[str]) -> Manifest:
        """This index without the children of these digests, as a new index.

        Everything else stays: annotations, unknown properties, order, the other descriptors.
        Raises InvalidManifest when it is no index.
        """
        if not self.is_index:
            raise InvalidManifest(f"manifest {self.digest} is no index: nothing can be left out")
        left = dict(self._document)
        left["manifests"] = [c for c in left["manifests"] if c["digest"] not in children]
        raw = json.dumps(left, ensure_ascii=False, separators=(",", ":")).encode()
        algorithm = parse_digest(self.digest).algorithm
        return Manifest.parse(raw, self.media_type, digest_of(raw, algorithm))

    @cached_property
    def _document(self) -> dict[str, Any]:
        return load_object(self.raw, f"manifest {self.digest}")

    def _read(self) -> None:
        _ = (self.children, self.blobs, self.subject, self.annotations, self.artifact_type)

    def _descriptor(self, key: str) -> Descriptor | None:
        found = self._document.get(key)
        if found is None:
            return None
        return read_descriptor(found, f"{key} of manifest {self.digest}")

    def _descriptors(self, key: str) -> tuple[Descriptor, ...]:
        found = self._document.get(key)
        if found is None:
            return ()
        if not isinstance(found, list):
            raise InvalidManifest(f"manifest {self.digest}: {key} is {type(found).__name__}")
        return tuple(
            read_descriptor(item, f"{key}[{at}] of manifest {self.digest}")
            for at, item in enumerate(found)
        )


def load_object(raw: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `raw`; raises InvalidManifest for anything else."""
    try:
        document = json.loads(raw.decode("utf-8"))
        json.dumps(document, ensure_ascii=False).encode()  # lone surrogates cannot be sent on
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(f"{what} is no JSON: {one_line(str(error), 120)}") from None
    if not isinstance(document, dict):
        raise InvalidManifest(f"{what} is no JSON object but {type(document).__name__}")
    return document


def _media_type(document: dict[str, Any], stated: str, digest: str) -> str:
    """The manifest's type: its own word and the Content-Type must not contradict each other.

    An OCI manifest may leave `mediaType` out. A document that can be read as two types is
    refused (CVE-2021-41190).
    """
    own = document.get("mediaType")
    if own is not None and not isinstance(own, str):
        raise InvalidManifest(f"manifest {digest}: mediaType is {type(own).__name__}")
    known = mediatypes.INDEXES | mediatypes.MANIFESTS | mediatypes.SCHEMA1
    claims = {claim for claim in (own, stated) if claim in known}
    if len(claims) > 1:
        raise InvalidManifest(f"manifest {digest} says {own} and came as {stated}")
    found = claims.pop() if claims else _guess(document)
    if found in mediatypes.SCHEMA1 or document.get("schemaVersion") == 1:
        raise UnsupportedMediaType(
            f"manifest {digest} is docker image manifest schema 1, which registries no longer"
            " take: push the image again with a current docker or buildx",
            reference=digest,
        )
    if found is None:
        raise UnsupportedMediaType(
            f"manifest {digest} has the type {one_line(own or stated or 'none', 120)!r}, which is"
            " neither an image manifest nor an index",
            reference=digest,
        )
    other = ("layers", "config") if found in mediatypes.INDEXES else ("manifests",)
    if any(key in document for key in other):
        raise InvalidManifest(f"manifest {digest} can be read as a manifest and as an index")
    return found


def _guess(document: dict[str, Any]) -> str | None:
    if document.get("mediaType") is not None:
        return None
    if "manifests" in document:
        return mediatypes.OCI_INDEX
    if "config" in document and "layers" in document:
        return mediatypes.OCI_MANIFEST
    return None
