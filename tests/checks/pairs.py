"""A source and a target in a real registry, filled by plain requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flows.local.sample_registry.content import Image
from flows.local.sample_registry.images import attested, single
from mirror.outcome import KnownTag, utcnow
from mirror.registry import Endpoint, Registry, Repository
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import push
from tests.support.registry_process import DockerRegistry


@dataclass(frozen=True)
class Pair:
    """Where images go, and what the history of faithful syncs would hold.

    Each has its own images, so that tests cannot damage each other's blobs on the registry's disk.
    """

    registry: DockerRegistry
    name: str

    @property
    def source(self) -> str:
        """The source repository."""
        return f"hagicode/{self.name}"

    @property
    def target(self) -> str:
        """The target repository."""
        return f"mirror/{self.name}"

    @cached_property
    def one(self) -> Image:
        """An image for two platforms."""
        return multi_platform(f"{self.name}/one", sizes=(3000, 5000))

    @cached_property
    def two(self) -> Image:
        """An image for two platforms, with attestations."""
        return attested(f"{self.name}/two", sizes=(4000,))

    @cached_property
    def other(self) -> Image:
        """What somebody else pushes."""
        return single(f"{self.name}/other")

    async def publish(self, images: Mapping[str, Image]) -> None:
        """Push tags to the source alone."""
        for tag, image in images.items():
            await push(self.registry.url, self.source, tag, image)

    async def mirror(self, images: Mapping[str, Image]) -> dict[str, KnownTag]:
        """Push tags to both sides, as a sync leaves them; what the history then holds of them."""
        await self.publish(images)
        for tag, image in images.items():
            await push(self.registry.url, self.target, tag, image)
        return {tag: known(tag, image.digest) for tag, image in images.items()}

    async def overwrite(self, tag: str, image: Image) -> None:
        """Somebody else pushes to the mirror."""
        await push(self.registry.url, self.target, tag, image)

    async def remove(self, tag: str) -> None:
        """Somebody deletes what a tag of the mirror points at."""
        async with self.open() as (_, target):
            descriptor = await target.head_manifest(tag)
            assert descriptor is not None
            await target.delete_manifest(descriptor.digest)

    def data(self, digest: str) -> Path:
        """The file in which the target's storage driver keeps a blob."""
        algorithm, _, encoded = digest.partition(":")
        return self.registry.storage / "blobs" / algorithm / encoded[:2] / encoded / "data"

    def lose(self, digest: str) -> None:
        """The target's disk loses a blob, and the repository its link to it."""
        self.data(digest).unlink()
        self.link(digest).unlink()

    def link(self, digest: str) -> Path:
        """The file that says that the target repository holds a blob."""
        layers = self.registry.storage / "repositories" / self.target / "_layers"
        return layers / digest.replace(":", "/") / "link"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[Repository, Repository]]:
        """Clients of both sides."""
        async with (
            Registry(Endpoint(self.registry.host, insecure=True)) as source,
            Registry(Endpoint(self.registry.host, insecure=True)) as target,
        ):
            yield source.repository(self.source), target.repository(self.target)


def known(tag: str, source: str, target: str | None = None) -> KnownTag:
    """A tag that was copied, as the history holds it."""
    return KnownTag(
        name=tag,
        source_digest=source,
        copied_digest=source,
        target_digest=target or source,
        detected_at=utcnow(),
    )
