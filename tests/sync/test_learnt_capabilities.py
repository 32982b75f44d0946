"""What refused once is not provoked again: by any run, until its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from flows.local.sample_registry.images import single
from flows.local.sample_registry.interceptor import Interceptor
from mirror.outcome import RunStatus
from mirror.registry import OptionalRequest, Refusal, ServerError, Throttled, TimedOut
from mirror.registry.spec.errors import Denied, RegistryError, RequestRefused
from tests.support.clock import clock_set_to
from tests.support.fake_registry.faults import CutConnection, Hang, Respond, Rule
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, CoreSync, endpoint_of, seed

pytestmark = pytest.mark.usefixtures("no_waits")

HANG = 60  # seconds


@dataclass
class World:
    """A mirror that is in step with its source, and a clock."""

    source: FakeRegistry
    target: FakeRegistry
    hub: FakeHub
    core: CoreSync
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def refused(self, registry: FakeRegistry | FakeHub, pattern: str) -> int:
        """How many requests of the next sync, which changes nothing, match the pattern."""
        before = len(registry.exchanges)
        with clock_set_to(lambda: self.now):
            synced = await self.core.sync()
        assert synced.outcome.status is RunStatus.SUCCEEDED, synced.outcome.errors
        assert not synced.changed
        return sum(pattern in one.line for one in registry.exchanges[before:])


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with (
        FakeRegistry() as source,
        FakeHub(source.store) as hub,
        FakeRegistry() as target,
    ):
        seed(source.store, SOURCE, ["1.0", "1.1"], single("learnt"))
        core = CoreSync(endpoint_of(source), endpoint_of(target))
        assert (await core.sync()).outcome.status is RunStatus.SUCCEEDED
        yield World(source, target, hub, core)


FAILURES = [Respond(403), Respond(500), CutConnection()]


@pytest.mark.parametrize("fault", FAILURES, ids=repr)
@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_head_that_failed_is_remembered_by_a_run_that_copies_nothing(
    world: World, side: str, fault: Interceptor
) -> None:
    registry = world.source if side == "source" else world.target
    registry.faults.add(Rule("HEAD .*/manifests/", fault, times=None))
    assert await world.refused(registry, "HEAD ") > 0
    assert await world.refused(registry, "HEAD ") == 0
    world.now += timedelta(days=31)
    assert await world.refused(registry, "HEAD ") > 0


@pytest.mark.parametrize("fault", FAILURES, ids=repr)
async def test_a_page_size_that_failed_is_remembered_by_a_run_that_copies_nothing(
    world: World, fault: Interceptor
) -> None:
    world.source.faults.add(Rule("GET .*/tags/list\\?n=1000", fault, times=None))
    assert await world.refused(world.source, "n=100") > 1
    # The list is started before the history answers, and anew when it has.
    assert await world.refused(world.source, "n=1000") <= 1
    assert await world.refused(world.source, "n=100") <= 2


@pytest.mark.parametrize("fault", [Respond(403), Respond(429), CutConnection()], ids=repr)
async def test_a_web_api_that_failed_is_remembered_for_an_hour(
    world: World, fault: Interceptor
) -> None:
    world.core.source = endpoint_of(world.source, world.hub)
    world.hub.faults.add(Rule("GET ", fault, times=None))
    assert await world.refused(world.hub, "GET ") >= 1
    world.hub.faults.clear()
    world.hub.faults.add(Rule("GET ", Hang(HANG), times=None))  # nobody waits for it
    async with asyncio.timeout(HANG):
        await world.refused(world.hub, "GET ")
    assert any("own tag list" in one for one in world.core.recorder.ended[-1].warnings)
    world.hub.faults.clear()
    world.now += timedelta(minutes=61)
    assert await world.refused(world.hub, "GET ") >= 1
    assert not any("own tag list" in one for one in world.core.recorder.ended[-1].warnings)


@pytest.mark.parametrize(
    ("error", "request_", "hours"),
    [
        (RequestRefused("no", status=405), OptionalRequest.MOUNT, 30 * 24),
        (ServerError("no", status=501), OptionalRequest.RANGES, 30 * 24),
        (Denied("no", status=403), OptionalRequest.HEAD_MANIFEST, 24),
        (ServerError("an HTML page", status=200), OptionalRequest.HEAD_BLOB, 24),
        (ServerError("no", status=502), OptionalRequest.REFERRERS, 1),
        (TimedOut("no"), OptionalRequest.PAGE_SIZE, 1),
        (Throttled("no", status=429), OptionalRequest.HUB_API, 1),
        (Denied("blocked", status=403), OptionalRequest.HUB_API, 1),
    ],
)
def test_how_long_a_failure_holds_depends_on_what_it_says(
    error: RegistryError, request_: OptionalRequest, hours: int
) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert Refusal.of(request_, error, now).until - now == timedelta(hours=hours)
