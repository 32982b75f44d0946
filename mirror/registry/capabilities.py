"""What a registry has been seen to do: learnt at run time, remembered by whoever keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from mirror.registry.known_registries import Quirks


@dataclass(slots=True)
class Abilities:
    """What a registry can do. None: not seen yet.

    mount: it mounts blobs across its repositories. single_post: it takes a blob with one POST.
    whole_put: a session may be closed with all of a large blob; False once that failed.
    chunk_bytes: uploads come in chunks of this many bytes. resumable: a broken upload goes on.
    ranges: blobs by Range. referrers: the referrers API. artifacts: manifests with a config that
    is no image's. attestations: BuildKit's attestations with an image config. delete: manifests
    may be deleted.
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
    delete: bool | None = None

    @classmethod
    def known(cls, quirks: Quirks) -> Abilities:
        """What the table of known registries says."""
        return cls(
            mount=quirks.mount,
            single_post=quirks.single_post,
            chunk_bytes=quirks.chunk_bytes,
            resumable=quirks.resumable,
            ranges=quirks.ranges,
            referrers=quirks.referrers,
        )

    def export(self) -> Mapping[str, str | int | bool]:
        """What is known, in a form that can be stored; `absorb` reads it."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in pairs if value is not None}

    def absorb(self, remembered: Mapping[str, object]) -> None:
        """Take over what `export` once gave; names and types that are not ours are left out."""
        for name in (
            "mount",
            "single_post",
            "whole_put",
            "resumable",
            "ranges",
            "referrers",
            "artifacts",
            "attestations",
            "delete",
        ):
            value = remembered.get(name)
            if isinstance(value, bool):
                setattr(self, name, value)
        chunk = remembered.get("chunk_bytes")
        if isinstance(chunk, int) and not isinstance(chunk, bool) and chunk > 0:
            self.chunk_bytes = chunk
