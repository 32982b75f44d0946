"""The catalogue of sample images: every kind that a mirror has to carry, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flows.local.sample_registry.content import Image, layer
from flows.local.sample_registry.images import BOTH, attested, single
from tests.support.fake_registry import oddities
from tests.support.fake_registry.images import ARMV7, multi_platform
from tests.support.fake_registry.signatures import cosign_tags, fallback_index, fallback_tag


@dataclass(frozen=True)
class Sample:
    """One kind of image: its name in the field's words, and what is pushed under which tags."""

    name: str
    tags: Mapping[str, Image]


def samples(seed: str = "samples") -> tuple[Sample, ...]:
    """One sample of each kind, all from one seed. Schema 1 is not among them: see `oddities`."""
    return (
        *(
            Sample(name, {name.lower().replace(" ", "-"): make(f"{seed}/{name}")})
            for name, make in _KINDS.items()
        ),
        _shared(seed),
        _signed(seed),
        _fallback(seed),
    )


_KINDS: Mapping[str, Callable[[str], Image]] = {
    "OCI manifest": single,
    "Docker manifest": lambda seed: single(seed, docker=True),
    "OCI index": multi_platform,
    "Docker manifest list": lambda seed: multi_platform(seed, docker=True),
    "index with three platforms": lambda seed: multi_platform(seed, (*BOTH, ARMV7)),
    "index with older attestations": attested,
    "index with artifact attestations": lambda seed: attested(seed, artifacts=True),
    "nested index": oddities.nested_index,
    "descriptors without platform": oddities.without_platform,
    "descriptors with more keys": oddities.described_at_length,
    "artifact with inline config": oddities.inline_config,
    "artifact": oddities.artifact,
    "referrers by subject": oddities.with_referrers,
    "zero-length layer": oddities.empty_layer,
    "zstd layers": oddities.zstd_layers,
    "non-distributable OCI layer": oddities.foreign_layers,
    "non-distributable Docker layer": lambda seed: oddities.foreign_layers(seed, docker=True),
    "manifest near 4 MiB": oddities.large_manifest,
    "unknown config type": oddities.unknown_config,
    "sha512 blobs": oddities.sha512_blobs,
    "sha512 manifests": oddities.sha512_manifests,
}


def _shared(seed: str) -> Sample:
    both = layer(f"{seed}/shared", 8192)
    twice = single(f"{seed}/twice", shared=[both, both])
    return Sample("shared layers", {"twice": twice, "once": single(f"{seed}/once", shared=[both])})


def _signed(seed: str) -> Sample:
    image = multi_platform(f"{seed}/signed")
    return Sample("cosign tags", {"signed": image, **cosign_tags(image)})


def _fallback(seed: str) -> Sample:
    image = single(f"{seed}/fallback")
    referrers = (
        oddities.artifact(f"{seed}/fallback/sbom", image.root),
        oddities.artifact(f"{seed}/fallback/sig", image.root, "application/vnd.example.signature"),
    )
    return Sample(
        "referrers by fallback tag",
        {"fallback": image, fallback_tag(image): fallback_index(referrers)},
    )
