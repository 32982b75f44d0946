"""The world around the mirror: registries in this process, a real PostgreSQL, shipped settings."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import psycopg

from mirror.config import MirrorSettings, Settings, load_settings
from mirror.history import Cluster, embedded_url, upgrade
from mirror.registry import Credential, Endpoint, Reference
from mirror.sync import MirrorClients
from mirror.sync.clients import connect
from simulation.clock import Time
from simulation.ledger import Ledger
from simulation.noted import Notes
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.hub import FakeHub
from tests.support.fake_registry.limits import Pulls
from tests.support.fake_registry.registry import FakeRegistry

HUB: Final = "docker.io"
SHIPPED: Final = Path(__file__).parents[1] / "mirrors.yaml"
_LATENCY: Final = 0.06  # seconds for each request, as in the benchmarks
_NO_FSYNC: Final = ("fsync", "full_page_writes", "synchronous_commit")  # nothing to keep


_ROWS: Final = """
    SELECT coalesce(parent.relname, own.relname), sum(greatest(own.reltuples, 0))
    FROM pg_class own
    LEFT JOIN pg_inherits ON inhrelid = own.oid
    LEFT JOIN pg_class parent ON parent.oid = inhparent
    WHERE own.relkind = 'r' AND own.relnamespace = 'public'::regnamespace
    GROUP BY 1 HAVING sum(greatest(own.reltuples, 0)) > 0 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Rerouted(Endpoint):
    """A registry by its real name, reached at a fake of it."""

    address: str = ""

    @property
    def base(self) -> str:
        """Where the fake listens."""
        return self.address


@dataclass
class World:
    """Everything outside of the product."""

    time: Time
    rng: Random
    settings: Settings
    cluster: Cluster
    registries: Mapping[str, FakeRegistry]  # by the host that mirrors.yaml names
    hub_api: FakeHub
    ledger: Ledger
    notes: Notes = field(default_factory=Notes)
    faulty: int = 0  # faults at work

    @property
    def at_rest(self) -> tuple[int, int] | None:
        """What a look depends on while it cannot find anything new; None while it may.

        Pushes and runs so far, if no fault is at work, no run is, and no tag waits for a retry.
        """
        runs = self.notes
        if self.faulty or runs.running or runs.failing:
            return None
        return len(self.ledger.pushes), len(runs.runs)

    @property
    def url(self) -> str:
        """The history's database."""
        return embedded_url("mirror", self.cluster)

    @asynccontextmanager
    async def clients(self, mirror: MirrorSettings) -> AsyncIterator[MirrorClients]:
        """The registry clients of a mirror, as mirror.sync.open_clients makes them."""
        source, target = (Reference.parse(side).registry for side in (mirror.source, mirror.target))
        login = Credential(quirks.USERNAME, quirks.PASSWORD, origin="the simulation")
        at_target = self._endpoint(target)
        async with connect(
            mirror,
            self._endpoint(source),
            replace(at_target, credential=lambda _: login),
            at_target,
        ) as clients:
            yield clients

    def _endpoint(self, host: str) -> Endpoint:
        return Rerouted(
            host,
            insecure=True,
            hub_api=self.hub_api.url if host == HUB else None,
            realm_hosts=frozenset({"localhost"}),
            address=self.registries[host].url,
        )

    async def renew_quota(self) -> None:
        """Docker Hub's quota is full again every six hours."""
        hub = self.registries[HUB]
        quota = hub.behaviour.quota
        while quota is not None:
            hub.pulls = Pulls(quota)
            await asyncio.sleep(quota.window)

    async def forget_requests(self) -> None:
        """The fakes keep every request; a month of them would fill the memory."""
        while True:
            await asyncio.sleep(timedelta(hours=1).total_seconds())
            self.hub_api.exchanges.clear()
            for registry in self.registries.values():
                registry.exchanges.clear()

    async def ask(self, query: str, *values: Any) -> list[Any]:
        """Rows of the history."""
        connection = await psycopg.AsyncConnection.connect(
            self.cluster.conninfo("mirror"), autocommit=True
        )
        async with connection:
            found = await connection.execute(query.encode(), values)
            return await found.fetchall() if found.description else []

    async def sizes(self) -> dict[str, float | dict[str, int]]:
        """Megabytes of the history, and rows of its tables, the months of one together."""
        await self.ask("ANALYZE")
        rows = await self.ask(_ROWS)
        ((size,),) = await self.ask("SELECT pg_database_size(current_database())")
        return {"megabytes": round(size / 1e6, 1), "rows": {name: int(n) for name, n in rows}}


def shipped(**changes: Any) -> Settings:
    """The mirrors.yaml of this repository, with other alert channels or looks."""
    return load_settings(SHIPPED).model_copy(update=changes)


@asynccontextmanager
async def open_world(time: Time, rng: Random, settings: Settings) -> AsyncIterator[World]:
    """Start the registries and the database; they go with the block."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="simulation-"))
        cluster = Cluster(Path(folder) / "postgres")
        await asyncio.to_thread(_create, cluster)
        stack.push_async_callback(asyncio.to_thread, cluster.stop)
        hosts = {
            Reference.parse(side).registry
            for mirror in settings.mirrors.values()
            for side in (mirror.source, mirror.target)
        }
        registries = {}
        for host in sorted(hosts):
            fake = FakeRegistry(replace(_behaviour(host), latency=_LATENCY, throttle=None))
            fake.store._clock = time.now
            registries[host] = await stack.enter_async_context(fake)
        hub_api = FakeHub(registries[HUB].store, clock=time.now, now=time.unix)
        await stack.enter_async_context(hub_api)
        ledger = Ledger(settings)
        for host, registry in registries.items():
            registry.store.listeners.append(ledger.listener(host))
        yield World(time, rng, settings, cluster, registries, hub_api, ledger)


def _behaviour(host: str) -> Behaviour:
    if host == HUB:
        return quirks.DOCKER_HUB
    return quirks.AZURE if host.endswith("azurecr.io") else quirks.ALIYUN_PERSONAL


def _create(cluster: Cluster) -> None:
    cluster.ensure_database("mirror")
    with psycopg.connect(cluster.conninfo("postgres"), autocommit=True) as connection:
        for setting in _NO_FSYNC:
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")
    upgrade(embedded_url("mirror", cluster))
