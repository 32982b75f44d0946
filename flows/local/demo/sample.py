"""What the guided run mirrors: a sample Docker Hub, a sample target, and HagiCode's releases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from flows.local.sample_registry.hub import SampleHub
from flows.local.sample_registry.interceptor import Crawl, Interceptor
from flows.local.sample_registry.registry import SampleRegistry
from flows.local.sample_registry.releases import Release, release
from flows.local.sample_registry.store import RepositoryStore

MIRROR = "hagicode"
SOURCE = "newbe36524/hagicode"
TARGET = "hagicode/hagicode"
KIB = 1024
MIB = 1024 * KIB

# The releases that exist when the guided run starts, oldest first. Each moves the floating tags, as
# HagiCode's releases do.
FIRST = ("0.1.0-beta.75", "0.1.0-beta.76", "0.1.0-beta.77")
NEXT = "0.1.0-beta.78"
LARGE = "0.1.0-beta.79"
LAYERS = (192 * KIB, 384 * KIB)
LARGE_LAYERS = (256 * KIB, 512 * KIB, 6 * MIB)
SLOW = 512 * KIB  # bytes per second and connection: the large layers take seconds


@dataclass(frozen=True, slots=True)
class DemoSample:
    """Both registries, in memory, and the mirrors.yaml that names them."""

    source: SampleRegistry
    target: SampleRegistry
    config: Path

    @property
    def source_side(self) -> RepositoryStore:
        """What the source holds."""
        return self.source.store.repository(SOURCE)

    @property
    def target_side(self) -> RepositoryStore:
        """What the target holds."""
        return self.target.store.repository(TARGET)

    def publish(self, version: str, sizes: tuple[int, ...] = LAYERS) -> Release:
        """Push a release under its exact tag and the floating ones. Sizes of layers in bytes."""
        made = release(version, sizes=sizes)
        self.source.store.add_image(SOURCE, made.tags, made.image)
        return made

    def slow_down(self, digests: frozenset[str]) -> None:
        """Send these blobs of the source slowly, until speed_up."""

        def crawl(line: str) -> Interceptor | None:
            return Crawl(SLOW) if line.rpartition("/")[2] in digests else None

        self.source.server.intercept = crawl

    def speed_up(self) -> None:
        """Send everything at full speed again."""
        self.source.server.intercept = lambda line: None

    def fetched(self, since: int) -> frozenset[str]:
        """Digests of blobs that were requested from the source since exchange number `since`."""
        return frozenset(
            exchange.path.rpartition("/")[2]
            for exchange in self.source.exchanges[since:]
            if exchange.method == "GET" and "/blobs/" in exchange.path
        )

    def identical(self) -> bool:
        """Whether the target holds the source's tags, manifests and blobs, byte for byte."""
        manifests = all(
            (held := self.target_side.manifests.get(digest)) is not None
            and held.raw == manifest.raw
            for digest, manifest in self.source_side.manifests.items()
        )
        blobs = all(
            digest in self.target_side.blobs
            and self.target.store.blobs[digest].read() == self.source.store.blobs[digest].read()
            for digest in self.source_side.blobs
        )
        return self.source_side.tags == self.target_side.tags and manifests and blobs

    def incomplete_tags(self) -> list[str]:
        """Tags of the target that point at an image with missing parts."""
        return [tag for tag in self.target_side.tags if not self._complete(tag)]

    def _complete(self, reference: str) -> bool:
        manifest = self.target_side.resolve(reference)
        if manifest is None:
            return False
        document = json.loads(manifest.raw)
        if "manifests" in document:
            return all(self._complete(child["digest"]) for child in document["manifests"])
        parts = [document["config"], *document["layers"]]
        return all(part["digest"] in self.target_side.blobs for part in parts)


@asynccontextmanager
async def sample_registries(folder: Path) -> AsyncIterator[DemoSample]:
    """Both registries, Hub's web API for the source, and mirrors.yaml in `folder`."""
    async with (
        SampleRegistry() as source,
        SampleHub(source.store) as hub,
        SampleRegistry() as target,
    ):
        config = folder / "mirrors.yaml"
        settings = {
            "registries": {
                source.host: {"insecure": True, "hub_api": hub.url},
                target.host: {"insecure": True},
            },
            "mirrors": {
                MIRROR: {
                    "source": f"{source.host}/{SOURCE}",
                    "target": f"{target.host}/{TARGET}",
                    "every": "30m",
                }
            },
        }
        config.write_text(yaml.safe_dump(settings, sort_keys=False))
        yield DemoSample(source, target, config)


def large_blobs(made: Release) -> frozenset[str]:
    """Digests of a release's layers of more than a MiB."""
    return frozenset(digest for digest, raw in made.image.blobs.items() if len(raw) > MIB)
