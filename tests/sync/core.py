"""Whole syncs without Prefect and without a database: the core, on any registries.

What the history remembers from run to run is kept in memory, so that a second sync differs from a
first one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flows.local.sample_registry.content import Content, Image
from flows.local.sample_registry.store import Store, StoredManifest
from mirror.config import MirrorSettings, load_cosign_keys
from mirror.config.models import TagPolicy, VerifySettings
from mirror.outcome import (
    ChangeKind,
    CopyOutcome,
    Discovery,
    KnownTag,
    Plan,
    RunOutcome,
    TagFailure,
    TagStatus,
    Trigger,
)
from mirror.registry import Credential, Endpoint, Limits
from mirror.sync.clients import connect
from mirror.sync.context import SyncContext
from mirror.sync.recorder import Recorder
from mirror.sync.run import run
from mirror.sync.tags.prefetch import Prefetch
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Scheme
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.memory_recorder import MemoryRecorder
from tests.support.registry_process import DockerRegistry

SOURCE = "team/app"
TARGET = "hagicode/app"
NAME = "app"
_LOGIN = Credential(quirks.USERNAME, quirks.PASSWORD, origin="the test")


def endpoint_of(registry: FakeRegistry | DockerRegistry, hub: FakeHub | None = None) -> Endpoint:
    """How a client reaches a registry of the tests, logged in where it wants that."""
    login = isinstance(registry, FakeRegistry) and registry.behaviour.auth.scheme is not Scheme.NONE
    return Endpoint(
        registry.host,
        insecure=True,
        hub_api=hub.url if hub else None,
        credential=lambda repository: _LOGIN if login else None,
        realm_hosts=frozenset({"localhost"}),
    )


def seed(store: Store, repository: str, tags: str | Iterable[str], image: Image) -> str:
    """Put an image, its referrers and tags straight into a registry's store; the digest."""
    for digest, raw in image.blobs.items():
        store.add_blob(repository, raw, digest.partition(":")[0])
    for content in image.manifests:
        store.add_manifest(repository, stored(content), None)
    for tag in [tags] if isinstance(tags, str) else tags:
        store.add_manifest(repository, stored(image.root), tag)
    for referrer in image.referrers:
        seed(store, repository, (), referrer)
    return image.digest


def stored(content: Content) -> StoredManifest:
    """A manifest as a registry keeps it."""
    return StoredManifest(content.raw, content.media_type, content.digest)


@dataclass(frozen=True)
class Synced:
    """How one sync ended."""

    outcome: RunOutcome
    discovery: Discovery
    plan: Plan
    outcomes: Mapping[str, CopyOutcome] = field(default_factory=dict)
    failures: Mapping[str, TagFailure] = field(default_factory=dict)
    arrived: tuple[str, ...] = ()
    waited: tuple[str, ...] = ()
    source_requests: int = 0
    target_requests: int = 0

    @property
    def changed(self) -> dict[str, ChangeKind]:
        """What the plan had to do, by tag."""
        return {change.tag: change.kind for change in self.plan.changes}


@dataclass
class CoreSync:
    """A source repository kept at a target repository, run by run."""

    source: Endpoint
    target: Endpoint
    source_name: str = SOURCE
    target_name: str = TARGET
    tags: TagPolicy = field(default_factory=TagPolicy)
    platforms: tuple[str, ...] | None = None
    attestations: bool = True
    referrers: bool = True
    verify: VerifySettings | None = None
    name: str = NAME
    recorder: MemoryRecorder = field(default_factory=MemoryRecorder)
    limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def known(self) -> dict[str, KnownTag]:
        """The recorded state of the mirror's tags."""
        return self.recorder.known[self.name]

    @property
    def mirror(self) -> MirrorSettings:
        """The mirror as mirrors.yaml would have it."""
        return MirrorSettings(
            name=self.name,
            source=f"{self.source.host}/{self.source_name}",
            target=f"{self.target.host}/{self.target_name}",
            tags=self.tags,
            platforms=self.platforms or "all",
            attestations="keep" if self.attestations else "drop",
            referrers=self.referrers,
            verify=self.verify,
        )

    @asynccontextmanager
    async def open(
        self,
        *,
        full: bool = True,
        dry_run: bool = False,
        accept_loss: bool = False,
        recorder: Recorder | None = None,
        trigger: Trigger = Trigger.MANUAL,
    ) -> AsyncIterator[SyncContext]:
        """What one run works with, its clients open. `recorder`: instead of the one in memory."""
        limits = Limits(**self.limits)
        async with connect(
            *(self.mirror, self.source, self.target, self.target),
            limits=limits,
            load_keys=lambda: load_cosign_keys(Path("mirrors.yaml"), self.mirror),
        ) as clients:
            prefetch = Prefetch(clients.source, clients.target, clients.hub, full=full)
            async with prefetch:
                yield SyncContext(
                    self.mirror,
                    clients,
                    recorder or self.recorder,
                    prefetch,
                    full=full,
                    dry_run=dry_run,
                    accept_loss=accept_loss,
                    trigger=trigger,
                )

    async def sync(
        self,
        *,
        full: bool = True,
        dry_run: bool = False,
        accept_loss: bool = False,
        recorder: Recorder | None = None,
        trigger: Trigger = Trigger.MANUAL,
    ) -> Synced:
        """One run, by default as by hand: failed tags are tried again at once."""
        before = len(self.recorder.skipped)
        async with self.open(
            full=full,
            dry_run=dry_run,
            accept_loss=accept_loss,
            recorder=recorder,
            trigger=trigger,
        ) as context:
            outcome, copied = await run(context)
        nothing = (Discovery((), False, ""), Plan((), 0))
        discovery, plan = (*self.recorder.discoveries[-1:], nothing)[0]
        return Synced(
            outcome=outcome,
            discovery=discovery,
            plan=plan,
            outcomes={copy.change.tag: copy for copy in copied},
            failures={error.tag: error for error in outcome.errors if error.tag is not None},
            arrived=tuple(copy.change.tag for copy in copied if copy.failure is None),
            waited=tuple(
                tag
                for tag, status, _ in self.recorder.skipped[before:]
                if status is TagStatus.WAITING
            ),
            source_requests=outcome.requests.source,
            target_requests=outcome.requests.target,
        )
