"""An audit sends no more requests a second than it was told."""

from __future__ import annotations

import asyncio
import time

import httpx

from mirror.checks.audit import AuditRequest, audit
from mirror.checks.audit_report import open_audit_clients
from mirror.checks.rate_limit import RateLimitedTransport, RateLimiter
from mirror.config.settings import Settings
from mirror.sync.tag_rules import TagRules
from tests.checks.pairs import Pair
from tests.support.registry_process import DockerRegistry


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_turns_come_one_interval_after_another() -> None:
    clock = Clock()
    turns = RateLimiter(4, clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(5):
        await turns.turn()
        times.append(clock.now)
    assert times == [100.0, 100.25, 100.5, 100.75, 101.0]


async def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    clock = Clock()
    turns = RateLimiter(1, clock=clock, sleep=clock.sleep)
    await turns.turn()
    clock.now += 60
    times = []
    for _ in range(3):
        await turns.turn()
        times.append(clock.now)
    assert times == [160.0, 161.0, 162.0]


async def test_every_request_of_a_transport_waits_for_its_turn() -> None:
    began = asyncio.get_running_loop().time()
    inner = httpx.MockTransport(lambda request: httpx.Response(200))
    async with httpx.AsyncClient(transport=RateLimitedTransport(inner, RateLimiter(50))) as client:
        await asyncio.gather(*(client.get("http://registry.example.com") for _ in range(11)))
    assert asyncio.get_running_loop().time() - began >= 10 / 50


async def test_an_audit_of_both_sides_together_keeps_the_rate(
    shared_docker_registry: DockerRegistry,
) -> None:
    pair = Pair(shared_docker_registry, "paced")
    record = await pair.mirror({"0.1.0": pair.one, "0.2.0": pair.two})
    host = shared_docker_registry.host
    settings = Settings.model_validate(
        {
            "registries": {host: {"insecure": True}},
            "mirrors": {
                "m": {"source": f"{host}/{pair.source}", "target": f"{host}/{pair.target}"}
            },
        }
    )
    began = time.perf_counter()
    async with open_audit_clients(settings, settings.mirror("m"), 40, lambda name: "") as sides:
        look = AuditRequest(sides.source, sides.target, TagRules(), record, sample=3)
        assert (await audit(look)).findings == ()
        sent = sides.requests.source + sides.requests.target
    assert sent > 20
    assert sent - 1 <= 40 * (time.perf_counter() - began)
