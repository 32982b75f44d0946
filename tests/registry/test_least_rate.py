"""A registry that sends a byte a second holds nobody for days."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from mirror.registry import Clock, Descriptor, Endpoint, Registry, RetryPolicy, TimedOut, Timeouts
from mirror.registry.spec.digest import digest_of
from tests.registry.scripted import Script

BLOB = Descriptor("application/octet-stream", digest_of(b"x"), 100_000)


class Dripping(httpx.AsyncByteStream):
    """A body whose pieces of `size` bytes come a second apart, by a clock that only it moves."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.passed = 0.0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(BLOB.size // self.size):
            self.passed += 1
            yield b"x" * self.size


async def _read(status: int, body: Dripping) -> bytes:
    script = Script()
    script.on("GET", lambda _: httpx.Response(status, stream=body))
    clock, once = Clock(monotonic=lambda: body.passed), RetryPolicy(attempts=1)
    async with Registry(Endpoint("a.test"), transport=script, clock=clock, retry=once) as registry:
        reader = registry.repository("a/b").read_blob(BLOB, 1)
        return b"".join([piece async for piece in reader])


@pytest.mark.parametrize("status", [200, 500])
async def test_a_body_at_a_byte_a_second_is_given_up_after_a_minute(status: int) -> None:
    body = Dripping(1)
    with pytest.raises(TimedOut, match=r"reading the blob .*60 bytes in 60 s.* 1,000 bytes a sec"):
        await _read(status, body)
    assert body.passed == 60


async def test_a_slow_body_above_the_least_rate_is_read_to_its_end() -> None:
    body = Dripping(1_250)
    assert len(await _read(200, body)) == BLOB.size - 1
    assert body.passed == 80


async def test_headers_of_a_blob_that_never_end_are_given_up() -> None:
    class Silent(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError

    async with Registry(
        Endpoint("a.test"),
        transport=Silent(),
        retry=RetryPolicy(attempts=1),
        timeouts=Timeouts(answer=0.01),
    ) as registry:
        with pytest.raises(TimedOut, match=r"no complete headers within 0\.01 s"):
            async with asyncio.timeout(60):
                _ = [piece async for piece in registry.repository("a/b").read_blob(BLOB)]
