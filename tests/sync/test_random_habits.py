"""Random combinations of habits: a run ends identical or in a failure, and loses nothing.

HABITS sets how many combinations are tried (default 60), SEED the first of them.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.local.sample_registry.documents import ManifestDocument
from flows.local.sample_registry.images import single
from mirror.config.models import TagPolicy
from mirror.outcome import Reason, RunOutcome, RunStatus
from tests.support.clock import clock_set_to
from tests.support.fake_registry import habits
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.oddities import with_referrers
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, TARGET, CoreSync, endpoint_of, seed

pytestmark = pytest.mark.usefixtures("no_waits")

COUNT = int(os.environ.get("HABITS", "60"))
FIRST = int(os.environ.get("SEED", "1"))
TAGS = ("1.0.0", "1.1.0", "1.2.0", "2.0.0", "latest")
NEW = "3.0.0"
HANG = 120  # seconds; without waits between attempts a run takes a fraction of one


@dataclass
class World:
    """A source and a target with habits, the mirror between them, and a clock."""

    number: int
    chance: random.Random
    source: FakeRegistry
    target: FakeRegistry
    core: CoreSync
    hub: FakeHub | None
    now: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    deleted: set[str] = field(default_factory=set)
    """Tags that the source has deleted."""
    held: set[str] = field(default_factory=set)
    """Tags that the target has had."""

    async def sync(self, *, full: bool = True) -> RunOutcome:
        """One run, and what holds after any."""
        outcome = (await self.core.sync(full=full)).outcome
        if outcome.status is RunStatus.SUCCEEDED:
            assert self.identical(), self.number
        else:
            assert outcome.errors, self.number
        for error in outcome.errors:
            assert error.reason is not Reason.INTERNAL, (self.number, error)
            assert self._names_a_party(error.message), (self.number, error)
        there = self.target.store.repository(TARGET).tags.keys()
        self.held |= there
        assert self.held - self.deleted <= there, self.number
        gone = {name for name, tag in self.core.known.items() if tag.gone_at}
        assert gone <= self.deleted, self.number
        assert whole(self.target), self.number
        return outcome

    def _names_a_party(self, message: str) -> bool:
        parties = [self.source.host, self.target.host]
        return any(party in message for party in parties)

    def identical(self) -> bool:
        """True if the target has every tag of the source at its digest."""
        there = self.target.store.repository(TARGET).tags
        return self.source.store.repository(SOURCE).tags.items() <= there.items()


@asynccontextmanager
async def world(number: int) -> AsyncIterator[World]:
    """Two registries and perhaps Docker Hub's web API, as the number has it."""
    chance = random.Random(number)
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(FakeRegistry(habits.behaviour(chance)))
        target = await stack.enter_async_context(FakeRegistry(habits.behaviour(chance)))
        hub = None
        if chance.random() < 0.25:
            hub = await stack.enter_async_context(FakeHub(source.store))
        core = CoreSync(
            endpoint_of(source, hub),
            endpoint_of(target),
            tags=TagPolicy(delete_after=timedelta(days=4), delete_share=0.5),
        )
        yield World(number, chance, source, target, core, hub)


@pytest.mark.parametrize("number", range(FIRST, FIRST + COUNT))
async def test_a_run_ends_identical_or_failed_and_loses_nothing(number: int) -> None:
    async with asyncio.timeout(HANG), world(number) as all_:
        chance, source, target = all_.chance, all_.source, all_.target
        for tag in TAGS:
            seed(source.store, SOURCE, tag, single(f"habits/{tag}", sizes=(300,)))
        with clock_set_to(lambda: all_.now):
            warm = chance.random() < 0.7
            if warm:
                assert (await all_.sync()).status is RunStatus.SUCCEEDED
            changes(all_)
            if chance.random() < 0.3:  # blobs that can be mounted
                other = replace(all_.core, name="other", target_name="other/app")
                assert (await other.sync()).outcome.status is RunStatus.SUCCEEDED
            for registry in (source, target):
                if chance.random() < 0.2:
                    late = habits.Late(chance.choice((1, 3)), registry.faults.find)
                    registry.server.intercept = late
                hidden = frozenset(chance.sample(TAGS, 2)) if warm else frozenset[str]()
                for _ in range(chance.randrange(4)):
                    registry.faults.add(habits.habit(chance, registry, hidden))
            if all_.hub is not None and chance.random() < 0.5:
                rule = habits.habit(chance, source, frozenset())
                all_.hub.faults.add(replace(rule, pattern="GET "))
            for _ in range(3):  # days apart, so that what is taken for gone would be deleted
                all_.now += timedelta(days=3)
                await all_.sync(full=chance.random() < 0.7)
            for faults in (source.faults, target.faults, *([all_.hub.faults] if all_.hub else [])):
                faults.clear()
            all_.now += timedelta(days=31)
            outcome = await all_.sync()
            assert outcome.status is RunStatus.SUCCEEDED, (number, outcome.errors)


def changes(all_: World) -> None:
    """What happens at the source between two runs."""
    chance, store = all_.chance, all_.source.store
    sizes = chance.choice(((300,), (300, 2_200_000)))
    new = chance.choice((single("new", sizes=sizes), multi_platform("new"), with_referrers("new")))
    seed(store, SOURCE, NEW, new)
    if chance.random() < 0.3:
        seed(store, SOURCE, "latest", new)
    if chance.random() < 0.2:
        all_.deleted.add("1.0.0")
        store.repository(SOURCE).delete_tag("1.0.0")


def whole(target: FakeRegistry) -> bool:
    """True if everything below the target's tags is there."""
    held = target.store.repository(TARGET)

    def complete(digest: str) -> bool:
        if digest not in held.manifests:
            return False
        document = ManifestDocument.parse(held.manifests[digest].raw)
        return all(complete(child.digest) for child in document.manifests or ()) and all(
            blob in held.blobs for blob in document.blobs
        )

    return all(complete(digest) for digest in held.tags.values())
