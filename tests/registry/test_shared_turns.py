"""Clients of one process share the turns at a registry."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from mirror.registry import Endpoint, Registry, SharedTurns
from tests.support.fake_registry.registry import FakeRegistry


async def test_a_client_waits_while_others_have_all_turns_at_its_registry() -> None:
    async with FakeRegistry() as fake, AsyncExitStack() as stack:
        endpoint = Endpoint(fake.host, insecure=True, most_requests=3)
        turns = SharedTurns()
        first, second = [
            await stack.enter_async_context(Registry(endpoint, turns=turns.of(endpoint, "source")))
            for _ in range(2)
        ]
        async with AsyncExitStack() as held:
            for _ in range(3):
                await held.enter_async_context(first.calls.slot())
            waiting = asyncio.create_task(second.repository("team/none").head_manifest("latest"))
            await asyncio.sleep(0.05)
            assert not fake.exchanges
        assert await waiting is None
        assert fake.exchanges


def test_a_registry_has_separate_turns_as_source_and_as_target() -> None:
    endpoint = Endpoint("registry.example.com")
    turns = SharedTurns()
    assert turns.of(endpoint, "source") is turns.of(endpoint, "source")
    assert turns.of(endpoint, "source") is not turns.of(endpoint, "target")
    other = Endpoint("other.example.com")
    assert turns.of(other, "source") is not turns.of(endpoint, "source")
