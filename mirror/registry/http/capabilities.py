"""What a registry turned out to support: learnt at run time, stored and loaded by the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime

from mirror.registry.http.known_registries import KnownRegistry
from mirror.registry.http.optional_request import OptionalRequest, Refusal
from mirror.registry.spec import RegistryError


@dataclass(slots=True)
class Capabilities:
    """What a registry supports. None: not known yet.

    mount: it mounts blobs across its repositories. single_post: it takes a blob with one POST.
    whole_put: one PUT may carry all of a large blob; False once that failed. chunk_bytes: uploads
    go in chunks of this many bytes. resumable: a broken upload can be resumed. ranges: it serves
    ranges of blobs. referrers: the referrers API. artifacts: manifests whose config is not an
    image's. attestations: BuildKit's attestations with an image config. head_blob, head_manifest:
    HEAD answers as GET would. hub_api: Docker Hub's web API. counts_pulls: its responses about
    manifests speak of a pull quota. page_size: how many tags to request at once; 0: as many as the
    registry likes.

    refusals: the optional requests that failed, with their reasons.
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
    head_blob: bool | None = None
    head_manifest: bool | None = None
    hub_api: bool | None = None
    counts_pulls: bool | None = None
    page_size: int | None = None
    refusals: dict[str, Refusal] = field(default_factory=dict)

    def refused(self, request: OptionalRequest) -> bool:
        """Whether an optional request is known to fail."""
        return request is not OptionalRequest.PAGE_SIZE and getattr(self, request.value) is False

    def remember(self, request: OptionalRequest, error: RegistryError, now: datetime) -> None:
        """Note that an optional request failed: not that way again."""
        self.refusals[request.value] = Refusal.of(request, error, now)
        if request is not OptionalRequest.PAGE_SIZE:
            setattr(self, request.value, False)

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

    def take_refusals(self, refusals: Mapping[str, Refusal]) -> None:
        """Take over what failed before, or for another client of the same registry."""
        for name, refusal in refusals.items():
            if name not in self.refusals:
                self.refusals[name] = refusal
                if name != OptionalRequest.PAGE_SIZE:
                    setattr(self, name, False)

    def dump_refusals(self) -> dict[str, dict[str, str]]:
        """The optional requests that failed, in a form that can be stored."""
        return {name: refusal.dump() for name, refusal in self.refusals.items()}

    def dump(self) -> Mapping[str, str | int | bool]:
        """What is known, in a form that can be stored; `load` reads it."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self) if f.name != "refusals")
        return {name: value for name, value in pairs if value is not None}

    def load(self, stored: Mapping[str, object]) -> None:
        """Take over what `dump` once gave; unknown names and other types are left out."""
        others = ("chunk_bytes", "page_size", "refusals")
        for name in (f.name for f in fields(self) if f.name not in others):
            value = stored.get(name)
            if isinstance(value, bool):
                setattr(self, name, value)
        chunk = stored.get("chunk_bytes")
        if isinstance(chunk, int) and not isinstance(chunk, bool) and chunk > 0:
            self.chunk_bytes = chunk
        page = stored.get("page_size")
        if isinstance(page, int) and not isinstance(page, bool) and page >= 0:
            self.page_size = page
