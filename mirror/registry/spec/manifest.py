"""Manifests and indexes: the bytes as received, and what they say.

OCI image-spec v1.1 (manifest.md, image-index.md), docker's image manifest v2 schema 2 and
manifest list. Bytes are never re-serialised, except by `rewrite_index`, which makes a new index.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mirror.outside_text import one_line
from mirror.registry.spec import media_type as types
from mirror.registry.spec.descriptor import Descriptor, read_annotations, read_descriptor
from mirror.registry.spec.digest import digest_of, parse_digest
from mirror.registry.spec.errors import (
    BudgetExceeded,
    DigestMismatch,
    InvalidManifest,
    InvalidReference,
    UnsupportedMediaType,
)
from mirror.registry.spec.json_body import parse_json

MAX_BYTES: Final = 8 << 20  # more than any registry must take (4 MiB), little enough to hold
MOST_DESCRIPTORS: Final = 4096  # in one list of a manifest
_DESCRIPTOR_BYTES: Final = 700  # of memory


@dataclass(frozen=True)
class Manifest:
    """A manifest or index: its bytes and their digest."""

    raw: bytes = field(repr=False)
    media_type: str
    digest: str

    @classmethod
    def parse(cls, raw: bytes, media_type: str = "", digest: str | None = None) -> Manifest:
        """Check and parse bytes.

        `media_type` is the Content-Type that came with them, empty or unspecific if unknown;
        `digest` is what they must match (None: it is computed, sha256).
        Raises DigestMismatch, InvalidManifest, BudgetExceeded for too many descriptors, and
        UnsupportedMediaType for schema 1.
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
                    f"the {len(raw)} bytes received for manifest {digest} are {digest_of(raw)}",
                    reference=digest,
                )
        document = load_object(raw, f"manifest {digest}")
        manifest = cls(raw, _media_type(document, types.essence(media_type), digest), digest)
        manifest._read()  # checks every property now, so that reading it later cannot fail
        return manifest

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.raw)

    @property
    def memory(self) -> int:
        """Bytes that it takes of memory, estimated."""
        return len(self.raw) + _DESCRIPTOR_BYTES * (len(self.children) + len(self.layers))

    @property
    def named(self) -> tuple[str, ...]:
        """Digests of the manifests and blobs that it refers to."""
        return tuple(each.digest for each in (*self.children, *self.blobs))

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return self.media_type in types.INDEXES

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
        return self._descriptors("blobs" if self.media_type == types.OCI_ARTIFACT else "layers")

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
        """The descriptor of this manifest in an index or a referrers list."""
        return Descriptor(
            self.media_type,
            self.digest,
            len(self.raw),
            annotations=self.annotations,
            artifact_type=self.artifact_type,
        )

    @cached_property
    def _document(self) -> dict[str, Any]:
        return load_object(self.raw, f"manifest {self.digest}")

    def _read(self) -> None:
        _ = (self.children, self.blobs, self.subject, self.annotations, self.artifact_type)
        del self.__dict__["_document"]  # many times the size of its bytes

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
        if len(found) > MOST_DESCRIPTORS:
            raise BudgetExceeded(
                f"manifest {self.digest} lists {len(found):,} {key}, more than the budget of"
                f" {MOST_DESCRIPTORS:,}"
            )
        return tuple(
            read_descriptor(item, f"{key}[{at}] of manifest {self.digest}")
            for at, item in enumerate(found)
        )


def rewrite_index(
    index: Manifest,
    *,
    without: Collection[str] = (),
    replaced: Mapping[str, Manifest] | None = None,
    added: Iterable[Descriptor] = (),
) -> Manifest:
    """An index with other children; the index itself, byte by byte, where nothing changes.

    without: digests of children to leave out. replaced: manifests that take the place of children,
    by the children's digests. added: children to append unless the index has them. Everything
    else stays: annotations, unknown properties, order, the other descriptors.
    Raises InvalidManifest when it is not an index.
    """
    new = replaced or {}
    held = {child.digest for child in index.children}
    missing = [_entry(one) for one in added if one.digest not in held]
    if not missing and held.isdisjoint(without) and held.isdisjoint(new):
        return index
    if not index.is_index:
        raise InvalidManifest(f"manifest {index.digest} is not an index: it has no children")
    document = load_object(index.raw, f"manifest {index.digest}")
    document["manifests"] = [
        _replaced(entry, new.get(entry["digest"]))
        for entry in document.get("manifests") or ()
        if entry["digest"] not in without
    ] + missing
    raw = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    algorithm = parse_digest(index.digest).algorithm
    return Manifest.parse(raw, index.media_type, digest_of(raw, algorithm))


def _replaced(entry: dict[str, Any], new: Manifest | None) -> dict[str, Any]:
    return {**entry, "digest": new.digest, "size": new.size} if new else entry


def _entry(descriptor: Descriptor) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        entry["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        entry["annotations"] = dict(descriptor.annotations)
    return entry


def load_object(raw: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `raw`; raises InvalidManifest for anything else."""
    try:
        document = parse_json(raw, "utf-8")
        if b"\\u" in raw:  # a lone surrogate cannot be sent on
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(f"{what} is not JSON: {one_line(str(error), 120)}") from None
    if not isinstance(document, dict):
        raise InvalidManifest(f"{what} is not a JSON object but {type(document).__name__}")
    return document


def _media_type(document: dict[str, Any], stated: str, digest: str) -> str:
    """The manifest's type: `mediaType` and Content-Type must not contradict each other.

    An OCI manifest may leave `mediaType` out. A document that can be read as two types is
    refused (CVE-2021-41190).
    """
    own = document.get("mediaType")
    if own is not None and not isinstance(own, str):
        raise InvalidManifest(f"manifest {digest}: mediaType is {type(own).__name__}")
    known = types.INDEXES | types.MANIFESTS | types.SCHEMA1
    claims = {claim for claim in (own, stated) if claim in known}
    if len(claims) > 1:
        raise InvalidManifest(
            f"manifest {digest} has the mediaType {own} and the Content-Type {stated}"
        )
    found = claims.pop() if claims else _guess(document)
    if found in types.SCHEMA1 or document.get("schemaVersion") == 1:
        raise UnsupportedMediaType(
            f"manifest {digest} is docker image manifest schema 1, which registries no longer"
            " accept: push the image again with a current docker or buildx",
            reference=digest,
        )
    if found is None:
        raise UnsupportedMediaType(
            f"manifest {digest} has the type {one_line(own or stated or 'none', 120)!r}, which is"
            " neither an image manifest nor an index",
            reference=digest,
        )
    other = ("layers", "config") if found in types.INDEXES else ("manifests",)
    if any(key in document for key in other):
        raise InvalidManifest(f"manifest {digest} can be read as a manifest and as an index")
    return found


def _guess(document: dict[str, Any]) -> str | None:
    if document.get("mediaType") is not None:
        return None
    if "manifests" in document:
        return types.OCI_INDEX
    if "config" in document and "layers" in document:
        return types.OCI_MANIFEST
    return None


EMPTY_INDEX: Final = Manifest.parse(
    json.dumps({"schemaVersion": 2, "mediaType": types.OCI_INDEX, "manifests": []}).encode()
)
