"""A registry from which nothing comes is given up soon; one that is slow is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import cast

import httpx
import pytest

from mirror.registry import Clock, ConnectionFailed, Endpoint, Registry, RegistryError, TimedOut
from mirror.registry.http.connection_health import ConnectionHealth
from mirror.registry.spec.digest import digest_of
from mirror.registry.upload_session import UploadSession
from simulation.clock import Time, simulate


class Silence(httpx.AsyncBaseTransport):
    """Every attempt fails after so many seconds, by a clock that only this and waiting move."""

    def __init__(self, error: httpx.TransportError, seconds: float) -> None:
        self.error, self.seconds = error, seconds
        self.attempts, self.passed = 0, 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.attempts += 1
        self.passed += self.seconds
        raise self.error

    async def _sleep(self, seconds: float) -> None:
        self.passed += seconds

    def client(self) -> Registry:
        """A client of the registry that is silent."""
        clock = Clock(sleep=self._sleep, monotonic=lambda: self.passed, random=lambda: 0.5)
        return Registry(Endpoint("a.test"), transport=self, clock=clock)


@pytest.mark.parametrize(
    ("error", "seconds", "attempts"),
    [
        (httpx.ConnectTimeout("no route"), 10, 4),
        (httpx.ReadTimeout("no answer"), 30, 2),
        (httpx.ConnectError("refused"), 0.01, 5),  # back within seconds, or not: as ever
    ],
)
async def test_a_registry_that_is_gone_is_given_up_half_a_minute_after_it_was_noticed(
    error: httpx.TransportError, seconds: float, attempts: int
) -> None:
    silence = Silence(error, seconds)
    async with silence.client() as registry:
        with pytest.raises(RegistryError):
            await registry.ping()
        assert silence.attempts == attempts
        assert silence.passed < 65
        if attempts < 5:
            with pytest.raises(RegistryError):
                await registry.ping()
            assert silence.attempts == attempts + 1, "and every further request is sent once"


def test_an_answer_ends_the_silence() -> None:
    health = ConnectionHealth()
    assert not health.is_gone(1000)
    health.miss(1000)
    health.miss(1020)
    assert not health.is_gone(1029)
    assert health.is_gone(1030)
    health.hear()
    assert not health.is_gone(2000)


class SlowLine(httpx.AsyncBaseTransport):
    """A target that takes `rate` bytes a second, and nothing after `most` of them."""

    def __init__(self, rate: float, most: float = float("inf")) -> None:
        self.rate, self.most, self.taken = rate, most, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, headers={"Location": "https://a.test/upload"})
        async for piece in cast(AsyncIterator[bytes], request.stream):
            if self.taken >= self.most:
                await asyncio.Event().wait()
            await asyncio.sleep(len(piece) / self.rate)
            self.taken += len(piece)
        return httpx.Response(201)


def _upload(line: SlowLine, size: int) -> float:
    """Upload a blob that the source gives in one piece; the simulated seconds that it took."""
    blob = b"x" * size

    async def body() -> AsyncIterator[bytes]:
        yield blob

    async def work(time: Time) -> float:
        async with Registry(Endpoint("a.test"), transport=line) as registry:
            session = await UploadSession.start(registry.repository("a/b"), digest_of(blob))
            try:
                await session.send_whole(body(), size)
            except RegistryError as error:
                assert isinstance(error, TimedOut | ConnectionFailed)
                assert "took no byte for 30 s" in str(error)
                return -time.monotonic()
            return time.monotonic()

    return simulate(work, datetime(2026, 1, 1, tzinfo=UTC), Random(1))


@pytest.mark.parametrize("rate", [2_000, 60_000, 10_000_000])
def test_an_upload_over_a_slow_line_goes_on_however_long_it_takes(rate: int) -> None:
    line = SlowLine(rate)
    assert _upload(line, 4 << 20) == pytest.approx((4 << 20) / rate)
    assert line.taken == 4 << 20


def test_an_upload_of_which_nothing_more_is_taken_is_given_up_after_half_a_minute() -> None:
    line = SlowLine(1_000_000, most=1 << 20)
    assert -40 < _upload(line, 4 << 20) < -30
