"""A few spoilt answers, as CI runs them: HOSTILE=n SEED=m tries others, `make trials` many more."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from itertools import count, islice

import pytest

from hostile.stage import BAD, GOOD, scene_of
from hostile.variations import drawn
from mirror.outcome import Reason, RunStatus
from mirror.registry import Endpoint, Registry, RetryPolicy, Timeouts
from tests.sync.core import CoreSync

COUNT = int(os.environ.get("HOSTILE", "8"))
SEED = int(os.environ.get("SEED", "20261126"))
HANG = 120  # seconds after which a spoilt sync counts as without end
WAITING = ("slow", "stalled")  # these take their time: `make trials` has them


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that wait for seconds, not minutes."""
    retry = RetryPolicy(attempts=2, base=0.01, patience=0.1)
    client = partial(Registry, timeouts=Timeouts(5.0, 5.0, 10.0), retry=retry)
    monkeypatch.setattr("mirror.sync.clients.Registry", client)


async def one(seed: int, number: int) -> None:
    """A spoilt sync, and one that is not."""
    variation = drawn(seed, number)
    async with scene_of("v", variation.seed) as scene:
        variation.apply(scene)
        source = Endpoint(
            scene.source.host,
            insecure=True,
            hub_api=f"http://{scene.web_api.host}" if scene.hub else None,
        )
        target = Endpoint(scene.target.host, insecure=True)
        core = CoreSync(source, target, target_name=scene.copy)
        async with asyncio.timeout(HANG):
            spoilt = await core.sync()
        for error in spoilt.outcome.errors:
            assert error.reason is not Reason.INTERNAL, f"{variation.name}: {error.message}"
            assert error.message.isprintable(), variation.name
        if variation.alone:
            assert scene.arrived.get(GOOD) == scene.good.digest, variation.name
        assert not core.recorder.running, variation.name
        for tag, state in core.known.items():
            if state.copied_digest is not None:
                assert scene.arrived.get(tag) == state.target_digest, variation.name
        variation.heal(scene)
        async with asyncio.timeout(HANG):
            healed = await core.sync()
        assert healed.outcome.status is RunStatus.SUCCEEDED, (variation.name, healed.outcome.errors)
        assert scene.arrived == {GOOD: scene.good.digest, BAD: scene.bad.digest}, variation.name


@pytest.mark.usefixtures("hasty")
async def test_spoilt_answers_end_in_an_error_of_the_tree_and_the_next_sync_brings_everything() -> (
    None
):
    quick = (at for at in count() if drawn(SEED, at).how not in WAITING)
    for number in islice(quick, COUNT):
        await one(SEED, number)


def test_a_seed_draws_the_same_again_and_every_kind_is_drawn() -> None:
    assert [drawn(7, at) for at in range(50)] == [drawn(7, at) for at in range(50)]
    names = {(drawn(7, at).kind, drawn(7, at).how) for at in range(5_000)}
    assert len(names) >= 380, "25 kinds of requests, 16 ways to spoil them"
