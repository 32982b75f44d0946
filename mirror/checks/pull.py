"""A pull of one tag as a user's docker does it, timed and thrown away.

As docker does: the tag's manifest, for an index the manifest of the platform, the config, then the
layers, three at once. No credential is used and nothing is retried: a first try that fails is what
a user would have seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mirror.outcome import KnownTag, Reason
from mirror.registry import (
    Descriptor,
    Manifest,
    NotFound,
    RegistryError,
    Repository,
    is_foreign_layer,
)
from mirror.sync import natural_key, specificity, subject_of

_EPOCH: Final = datetime.min.replace(tzinfo=UTC)
LAYERS_AT_ONCE: Final = 3  # dockerd's default of max-concurrent-downloads
PLATFORM: Final = "linux/amd64"


@dataclass(frozen=True)
class PullPlan:
    """What to pull and how far. `most`: bytes of layers, None for all; `patience`: seconds."""

    tag: str
    platform: str = PLATFORM
    most: int | None = None
    patience: float = 25.0
    clock: Callable[[], float] = field(default=time.perf_counter, repr=False)


@dataclass(frozen=True)
class Pull:
    """The outcome of a pull. Seconds count from the first request, tokens included.

    `digest` is that of the platform's manifest, which two sides share even where the index above
    it was filtered: pulls with one digest moved the same bytes and may be compared.
    """

    digest: str | None
    seconds: float
    bytes: int
    first_byte_seconds: float | None = (
        None  # of the first layer, from its request on, redirects included
    )
    reason: Reason | None = None
    message: str | None = None
    lost: str | None = None
    """The digest of what the registry lacks, though a manifest there names it."""

    @property
    def well(self) -> bool:
        """True unless something failed."""
        return self.reason is None

    @property
    def bytes_per_second(self) -> float | None:
        """Of the whole pull; None where it failed or nothing arrived."""
        return self.bytes / self.seconds if self.well and self.bytes and self.seconds else None


async def pull(repository: Repository, plan: PullPlan) -> Pull:
    """Pull a tag; a failure is in the value.

    A pull that is still running when the patience ends is cut off and counts with what arrived: a
    slow side is slow, not broken. It failed if no byte of a layer arrived, or none for half of
    that time.
    """
    puller = _Puller(repository, plan)
    reason: Reason | None = None
    message: str | None = None
    lost: str | None = None
    try:
        async with asyncio.timeout(plan.patience):
            await puller.pull()
    except TimeoutError:
        silent = plan.clock() - puller.last_byte
        if puller.first_byte is None or silent > plan.patience / 2:
            reason = Reason.TIMEOUT
            message = f"{puller.where}: no byte of a layer for {silent:.1f} s"
    except RegistryError as error:
        reason, message = Reason(error.reason), str(error)
        if isinstance(error, NotFound) and ":" in (error.reference or ""):
            lost = error.reference
    return Pull(
        digest=puller.digest,
        seconds=plan.clock() - puller.started,
        bytes=puller.bytes,
        first_byte_seconds=puller.first_byte,
        reason=reason,
        message=message,
        lost=lost,
    )


class _Puller:
    def __init__(self, repository: Repository, plan: PullPlan) -> None:
        self._repository = repository
        self._plan = plan
        self.where = f"{repository.registry.host}/{repository.name}:{plan.tag}"
        self.started = plan.clock()
        self.digest: str | None = None
        self.bytes = 0
        self.first_byte: float | None = None
        self.last_byte = self.started
        self._left = plan.most

    async def pull(self) -> None:
        manifest = await self._manifest(self._plan.tag)
        if manifest.is_index:
            manifest = await self._manifest(self._child(manifest).digest)
        self.digest = manifest.digest
        if manifest.config is not None:
            await self._config(manifest.config)
        layers = asyncio.Queue[Descriptor]()
        for layer in manifest.layers:
            if not is_foreign_layer(layer.media_type):
                layers.put_nowait(layer)
        workers = [
            asyncio.create_task(self._worker(layers))
            for _ in range(min(LAYERS_AT_ONCE, layers.qsize()))
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _manifest(self, reference: str) -> Manifest:
        manifest = await self._repository.get_manifest(reference)
        self.bytes += len(manifest.raw)
        return manifest

    def _child(self, index: Manifest) -> Descriptor:
        for child in index.children:
            if child.platform and f"{child.platform}/".startswith(f"{self._plan.platform}/"):
                return child
        raise NotFound(f"{self.where} has no image for {self._plan.platform}")

    async def _config(self, config: Descriptor) -> None:
        async for piece in self._repository.read_blob(config):
            self.bytes += len(piece)

    async def _worker(self, layers: asyncio.Queue[Descriptor]) -> None:
        while not layers.empty() and self._left != 0:
            await self._layer(layers.get_nowait())

    async def _layer(self, layer: Descriptor) -> None:
        asked = self._plan.clock()
        async with aclosing(self._repository.read_blob(layer)) as pieces:
            async for piece in pieces:
                self.last_byte = self._plan.clock()
                if self.first_byte is None:
                    self.first_byte = self.last_byte - asked
                self.bytes += len(piece)
                if self._left is not None:
                    self._left = max(0, self._left - len(piece))
                    if self._left == 0:
                        return


def choose_tag(known: Mapping[str, KnownTag]) -> str | None:
    """The tag to probe: `latest` where source and target agree on it, else the newest release.

    Newest by push or detection among the tags that are in sync; None where there is none.
    """
    ready = [
        state
        for state in known.values()
        if state.gone_at is None
        and state.copied_digest is not None
        and state.copied_digest == state.source_digest
        and not subject_of(state.name)
    ]
    if not ready:
        return None
    if any(state.name == "latest" for state in ready):
        return "latest"
    newest = max(
        ready,
        key=lambda state: (
            (state.pushed_at or state.detected_at or _EPOCH),
            specificity(state.name),
            natural_key(state.name),
        ),
    )
    return newest.name
