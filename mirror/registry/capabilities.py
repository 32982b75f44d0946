"""What a registry turned out to support: learnt at run time, stored and loaded by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from mirror.registry.known_registries import KnownRegistry


@dataclass(slots=True)
class Capabilities:
    """What a registry supports. None: not known yet.

    mount: it mounts blobs across its repositories. single_post: it takes a blob with one POST.
    whole_put: one PUT may carry all of a large blob; False once that failed. chunk_bytes: uploads
    go in chunks of this many bytes. resumable: a broken upload can be resumed. ranges: it serves
    ranges of blobs. referrers: the referrers API. artifacts: manifests whose config is not an
    image's. attestations: BuildKit's attestations with an image config.
    """

    mount: bool | None = None
    single_post: bool | None = None
    whole_put: bool | None = None
    chunk_bytes: int | None = None
    resumable: bool | None = None
    ranges: bool | None = None
    referrers: bool | None = None
    artifacts: bool | None = None
    attestations: bool | None = None

    @classmethod
    def of(cls, known: KnownRegistry) -> Capabilities:
        """What the table of known registries says."""
        return cls(
            mount=known.mount,
            single_post=known.single_post,
            chunk_bytes=known.chunk_bytes,
            resumable=known.resumable,
            ranges=known.ranges,
            referrers=known.referrers,
        )

    def dump(self) -> Mapping[str, str | int | bool]:
        """What is known, in a form that can be stored; `load` reads it."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in pairs if value is not None}

    def load(self, stored: Mapping[str, object]) -> None:
        """Take over what `dump` once gave; unknown names and other types are left out."""
        for name in (f.name for f in fields(self) if f.name != "chunk_bytes"):
            value = stored.get(name)
            if isinstance(value, bool):
                setattr(self, name, value)
        chunk = stored.get("chunk_bytes")
        if isinstance(chunk, int) and not isinstance(chunk, bool) and chunk > 0:
            self.chunk_bytes = chunk
