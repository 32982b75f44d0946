"""Syncs without Prefect and without a database: the steps in the flow's order, on any registries.

What the record would remember from run to run is kept here, so that a second sync can be told from
a first one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from flows.local.sample_registry.content import Content, Image
from flows.local.sample_registry.store import Store, StoredManifest
from mirror.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    Discovery,
    KnownTag,
    Plan,
    TagFailure,
    utcnow,
)
from mirror.registry import Credential, Endpoint, HubApi, Registry
from mirror.sync.blob_placement import BlobPlacer
from mirror.sync.copy import Copier
from mirror.sync.diff import diff
from mirror.sync.discover import Look, discover
from mirror.sync.image_rules import ImageRules
from mirror.sync.tag_order import Landings
from mirror.sync.tag_rules import TagRules
from mirror.sync.verify import Verifier
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Scheme
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.registry_process import DockerRegistry

SOURCE = "team/app"
TARGET = "hagicode/app"
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
class Mirroring:
    """A source repository kept at a target repository, run by run."""

    source: Endpoint
    target: Endpoint
    source_name: str = SOURCE
    target_name: str = TARGET
    tags: TagRules = field(default_factory=TagRules)
    images: ImageRules = field(default_factory=ImageRules)
    referrers: bool = True
    known: dict[str, KnownTag] = field(default_factory=dict)
    abilities: dict[str, object] = field(default_factory=dict)

    async def sync(self, *, full: bool = True) -> Synced:
        """One run."""
        async with self._open(self.source) as source, self._open(self.target) as target:
            target.abilities.absorb(self.abilities)
            origin = source.repository(self.source_name)
            mirror = target.repository(self.target_name)
            look = Look(
                source=origin,
                target=mirror,
                rules=self.tags,
                known=self.known,
                full=full,
                hub=HubApi(source) if source.endpoint.hub_api else None,
            )
            discovery = await discover(look)
            plan = diff(discovery, self.known, self.tags, utcnow())
            copier = Copier(
                origin,
                mirror,
                BlobPlacer(origin, mirror),
                images=self.images,
                tags=self.tags,
                referrers=self.referrers,
                companions=() if self.tags.admits_all else discovery.companions,
            )
            async with self._open(self.target) as check:
                verifier = Verifier(check.repository(self.target_name))
                run = _Run(self, discovery, plan, copier, verifier)
                await run.bring_all()
            self.abilities |= target.abilities.export()
            return run.synced(source.requests, target.requests)

    @staticmethod
    @asynccontextmanager
    async def _open(endpoint: Endpoint) -> AsyncIterator[Registry]:
        async with Registry(endpoint) as registry:
            yield registry


class _Run:
    """What the flow does between diff and the record, one tag after the other."""

    def __init__(
        self,
        mirroring: Mirroring,
        discovery: Discovery,
        plan: Plan,
        copier: Copier,
        verifier: Verifier,
    ) -> None:
        self.mirroring = mirroring
        self.discovery = discovery
        self.plan = plan
        self.copier = copier
        self.verifier = verifier
        self.outcomes: dict[str, CopyOutcome] = {}
        self.failures = {f.tag: f for f in discovery.failed if f.tag is not None}
        self.arrived: list[str] = []
        self.waited: list[str] = []

    async def bring_all(self) -> None:
        now = utcnow()
        for change in self.plan.adopted:
            await self._verify(CopyOutcome(change, now, now, target_digest=change.digest))
        landings = Landings(self.plan.changes)
        for change in self.plan.changes:
            await self._bring(change, landings)

    async def _bring(self, change: Change, landings: Landings) -> None:
        if not await landings.all_landed(change.waits_for):
            self.waited.append(change.tag)
            landings.ended(change.tag, arrived=False)
            return
        outcome = await self.copier.copy(change)
        if outcome.failure is None:
            await self._verify(outcome)
        else:
            self.failures[change.tag] = outcome.failure
            self.outcomes[change.tag] = outcome
        landings.ended(change.tag, arrived=change.tag in self.arrived)

    async def _verify(self, outcome: CopyOutcome) -> None:
        change = outcome.change
        self.outcomes[change.tag] = outcome
        verification = await self.verifier.verify(outcome)
        if verification.failure is not None:
            self.failures[change.tag] = verification.failure
            return
        self.arrived.append(change.tag)
        self.mirroring.known[change.tag] = KnownTag(
            name=change.tag,
            source_digest=change.digest,
            copied_digest=change.digest,
            target_digest=outcome.target_digest,
            pushed_at=change.pushed_at,
            detected_at=change.detected_at,
        )

    def synced(self, source_requests: int, target_requests: int) -> Synced:
        return Synced(
            self.discovery,
            self.plan,
            self.outcomes,
            self.failures,
            tuple(self.arrived),
            tuple(self.waited),
            source_requests,
            target_requests,
        )
