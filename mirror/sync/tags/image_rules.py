"""Which parts of an index go to the target, and the index rebuilt without the others.

A filtered index stays valid: the descriptors that are kept, their order and annotations and every
other key of the index stand as they came, so only the left-out children differ (image-spec 1.1,
"OCI Image Index Specification"). Its digest differs from the source's; both are recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mirror.config import MirrorSettings
from mirror.outcome import Dropped, DropReason
from mirror.registry import Descriptor, Manifest, rewrite_index

# BuildKit marks an attestation's descriptor in the index by these annotations
# (docs.docker.com, "Image attestation storage").
_REFERENCE_TYPE = "vnd.docker.reference.type"
_REFERENCE_DIGEST = "vnd.docker.reference.digest"
_IMAGE_CONFIGS = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)


@dataclass(frozen=True)
class ImageRules:
    """Which parts of an image are mirrored."""

    platforms: tuple[str, ...] | None = None  # None: all
    attestations: bool = True

    def wants(self, descriptor: Descriptor) -> bool:
        """True if the platforms let the child pass; one that names none cannot be judged: kept."""
        if self.platforms is None or descriptor.platform is None:
            return True
        platform = str(descriptor.platform)
        return any(platform == wish or platform.startswith(f"{wish}/") for wish in self.platforms)


def image_rules_of(mirror: MirrorSettings) -> ImageRules:
    """Which parts of images mirrors.yaml wants at a mirror."""
    platforms = None if mirror.platforms == "all" else tuple(mirror.platforms)
    return ImageRules(platforms=platforms, attestations=mirror.attestations == "keep")


def is_attestation(descriptor: Descriptor) -> bool:
    """True for the descriptor of a BuildKit attestation manifest."""
    return descriptor.annotations.get(_REFERENCE_TYPE) == "attestation-manifest"


def is_image_config(media_type: str) -> bool:
    """True for the configs of runnable images; all others make an artifact."""
    return media_type in _IMAGE_CONFIGS


def unwanted(index: Manifest, rules: ImageRules) -> tuple[Dropped, ...]:
    """The children that the rules leave out, attestations of left-out children included."""
    dropped: dict[str, Dropped] = {}
    for child in index.children:
        if not is_attestation(child) and not rules.wants(child):
            dropped[child.digest] = _drop(child, DropReason.PLATFORM)
    for child in index.children:
        if not is_attestation(child):
            continue
        if not rules.attestations:
            dropped[child.digest] = _drop(child, DropReason.ATTESTATION)
        elif child.annotations.get(_REFERENCE_DIGEST) in dropped:
            dropped[child.digest] = _drop(child, DropReason.PLATFORM)
    return tuple(dropped.values())


def refused(descriptor: Descriptor) -> Dropped:
    """The record of an attestation, or of another manifest with a subject, that the target would
    not take."""
    attestation = is_attestation(descriptor)
    reason = DropReason.ATTESTATION_REFUSED if attestation else DropReason.REFERRER_REFUSED
    return _drop(descriptor, reason)


def left_out(descriptor: Descriptor) -> Dropped:
    """The record of an index in an index that holds none of the platforms that are wanted."""
    return _drop(descriptor, DropReason.PLATFORM)


def _drop(descriptor: Descriptor, reason: DropReason) -> Dropped:
    platform = str(descriptor.platform) if descriptor.platform else None
    return Dropped(descriptor.digest, descriptor.media_type, reason, platform)


@dataclass(frozen=True)
class Rebuild:
    """How an index differs at the target: children left out, nested indexes replaced."""

    without: frozenset[str] = frozenset()
    replaced: Mapping[str, Manifest] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.without or self.replaced)


def rebuild(index: Manifest, change: Rebuild) -> Manifest:
    """The index with children left out or replaced; byte-identical where nothing changes."""
    return rewrite_index(index, without=change.without, replaced=change.replaced)


def kept(children: Sequence[Descriptor], dropped: Iterable[Dropped]) -> tuple[Descriptor, ...]:
    """The children that go to the target, in order."""
    gone = {drop.digest for drop in dropped}
    return tuple(child for child in children if child.digest not in gone)
