"""What the guided run mirrors: a Docker Hub and a target of its own, and HagiCode's releases."""

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

# The releases that are there when the guided run begins, oldest first; the floating tags move with
# each of them, as HagiCode's do.
FIRST = ("0.1.0-beta.75", "0.1.0-beta.76", "0.1.0-beta.77")
NEXT = "0.1.0-beta.78"
LARGE = "0.1.0-beta.79"
LAYERS = (192 * KIB, 384 * KIB)
LARGE_LAYERS = (256 * KIB, 512 * KIB, 6 * MIB)
SLOW = 512 * KIB  # bytes a second of a connection: the large layers take seconds


@dataclass(frozen=True, slots=True)
class Sample:
    """Both registries, in memory, and the mirrors.yaml that names them."""

    source: SampleRegistry
    target: SampleRegistry
    config: Path

    @property
    def ours(self) -> RepositoryStore:
        """What the source holds."""
        return self.source.store.repository(SOURCE)

    @property
    def theirs(self) -> RepositoryStore:
        """What the target holds."""
        return self.target.store.repository(TARGET)

    def publish(self, version: str, sizes: tuple[int, ...] = LAYERS) -> Release:
        """Push a release under its exact tag and the floating ones. Sizes of layers in bytes."""
        made = release(version, sizes=sizes)
        self.source.store.add_image(SOURCE, made.tags, made.image)
        return made

    def slow_down(self, digests: frozenset[str]) -> None:
        """Let these blobs of the source crawl, until speed_up."""

        def crawl(line: str) -> Interceptor | None:
            return Crawl(SLOW) if line.rpartition("/")[2] in digests else None

        self.source.server.intercept = crawl

    def speed_up(self) -> None:
        """Let everything flow again."""
        self.source.server.intercept = lambda line: None

    def fetched(self, since: int) -> frozenset[str]:
        """Digests of blobs that were asked of the source since its exchange number `since`."""
        return frozenset(
            exchange.path.rpartition("/")[2]
            for exchange in self.source.exchanges[since:]
            if exchange.method == "GET" and "/blobs/" in exchange.path
        )

    def identical(self) -> bool:
        """Whether tags, manifests and blobs of the source are at the target, byte for byte."""
        manifests = all(
            (held := self.theirs.manifests.get(digest)) is not None and held.raw == manifest.raw
            for digest, manifest in self.ours.manifests.items()
        )
        blobs = all(
            digest in self.theirs.blobs
            and self.target.store.blobs[digest].read() == self.source.store.blobs[digest].read()
            for digest in self.ours.blobs
        )
        return self.ours.tags == self.theirs.tags and manifests and blobs

    def incomplete_tags(self) -> list[str]:
        """Tags of the target that point at something of which a part is missing there."""
        return [tag for tag in self.theirs.tags if not self._whole(tag)]

    def _whole(self, reference: str) -> bool:
        manifest = self.theirs.resolve(reference)
        if manifest is None:
            return False
        document = json.loads(manifest.raw)
        if "manifests" in document:
            return all(self._whole(child["digest"]) for child in document["manifests"])
        parts = [document["config"], *document["layers"]]
        return all(part["digest"] in self.theirs.blobs for part in parts)


@asynccontextmanager
async def sample_registries(folder: Path) -> AsyncIterator[Sample]:
    """Both registries with Hub's web API before the source, and mirrors.yaml in `folder`."""
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
        yield Sample(source, target, config)


def large_blobs(made: Release) -> frozenset[str]:
    """Digests of a release's layers of more than a MiB."""
    return frozenset(digest for digest, raw in made.image.blobs.items() if len(raw) > MIB)
