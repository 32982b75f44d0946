"""An audit sends no more requests a second than its limit."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from mirror.checks.audit import AuditRequest, audit
from mirror.checks.audit_run import open_audit_clients
from mirror.checks.rate_limit import RateLimitedTransport, RateLimiter
from mirror.sync.tags.tag_rules import TagRules
from tests.checks.pairs import Pair
from tests.checks.settings import settings
from tests.support.registry_process import DockerRegistry


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_limiter_come_one_interval_after_another() -> None:
    clock = Clock()
    limiter = RateLimiter(4, clock=clock, sleep=clock.sleep)
    times = []
    for _ in range(5):
        await limiter.wait()
        times.append(clock.now)
    assert times == [100.0, 100.25, 100.5, 100.75, 101.0]


async def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    clock = Clock()
    limiter = RateLimiter(1, clock=clock, sleep=clock.sleep)
    await limiter.wait()
    clock.now += 60
    times = []
    for _ in range(3):
        await limiter.wait()
        times.append(clock.now)
    assert times == [160.0, 161.0, 162.0]


async def test_every_request_of_a_transport_waits() -> None:
    clock = Clock()
    limiter = RateLimiter(50, clock=clock, sleep=clock.sleep)
    inner = httpx.MockTransport(lambda request: httpx.Response(200))
    async with httpx.AsyncClient(transport=RateLimitedTransport(inner, limiter)) as client:
        await asyncio.gather(*(client.get("http://registry.example.com") for _ in range(11)))
    assert clock.now == pytest.approx(100.0 + 10 / 50)


async def test_an_audit_of_both_sides_together_keeps_the_rate(
    shared_docker_registry: DockerRegistry,
) -> None:
    pair = Pair(shared_docker_registry, "paced")
    record = await pair.mirror({"0.1.0": pair.one, "0.2.0": pair.two})
    host = shared_docker_registry.host
    config = settings({"m": (f"{host}/{pair.source}", f"{host}/{pair.target}")})
    clock = Clock()
    limiter = RateLimiter(40, clock=clock, sleep=clock.sleep)
    async with open_audit_clients(config, config.mirror("m"), limiter, lambda name: "") as clients:
        request = AuditRequest(clients.source, clients.target, TagRules(), record, sample=3)
        assert (await audit(request)).findings == ()
        sent = clients.requests.source + clients.requests.target
    assert sent > 20
    assert clock.now == pytest.approx(100.0 + (sent - 1) / 40)
