"""The round trips of a sync, one after another: which requests each of them sends at once.

Both registries are in this process and answer a second of simulated time after they were asked, so
the requests that are sent in one second are a round trip, on a slow machine too. Connections take
no time here: over TCP each costs one more round trip, over TLS two.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Final, Self

from flows.local.sample_registry.images import single
from flows.local.sample_registry.interceptor import Interceptor
from mirror.outcome import RunStatus
from simulation.clock import Time, simulate
from tests.support.fake_registry.behaviour import Behaviour
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import SOURCE, CoreSync, endpoint_of, seed

ROUND_TRIP: Final = 1.0  # simulated seconds
KNOWN, NEW = "1.0.0", "1.0.1"
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def first_sync() -> list[str]:
    """A tag that a process copies which has only just started, into an empty history and target.

    A line for each round trip: `source: HEAD manifests/1.0.0; target: ...`.
    """
    return simulate(partial(_chain, []), _START, random.Random(1))


def new_tag() -> list[str]:
    """The same of a tag at a source and a target that the history knows."""
    return simulate(partial(_chain, [KNOWN]), _START, random.Random(1))


async def _chain(known: Sequence[str], time: Time) -> list[str]:
    async with _Pair(time) as pair:
        for tag in known:
            await pair.sync(tag)
        return await pair.sync(NEW)


class _Pair:
    """A source and a target."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._source = FakeRegistry(Behaviour(latency=ROUND_TRIP))
        self._target = FakeRegistry(Behaviour(latency=ROUND_TRIP))
        self._came: dict[int, Counter[str]] = defaultdict(Counter)
        self._registries = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for side, registry in (("source", self._source), ("target", self._target)):
            await self._registries.enter_async_context(registry)
            registry.server.intercept = partial(self._note, side)
        self._work = CoreSync(endpoint_of(self._source), endpoint_of(self._target))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._registries.aclose()

    def _note(self, side: str, line: str) -> Interceptor | None:
        method, _, path = line.partition(" ")
        short = re.sub(r"^/v2/(team|hagicode)/app/", "", path).partition("?")[0]
        short = re.sub(r"uploads/.+", "uploads/ID", _DIGEST.sub("DIGEST", short))
        self._came[round(self._time.monotonic() / ROUND_TRIP)][f"{side}: {method} {short}"] += 1
        return None

    async def sync(self, tag: str) -> list[str]:
        """Push a tag to the source and copy it; the round trips of that."""
        seed(self._source.store, SOURCE, tag, single(tag))
        self._came.clear()
        done = await self._work.sync(full=False)
        assert done.outcome.status is RunStatus.SUCCEEDED, done.failures
        return [_line(self._came[moment]) for moment in sorted(self._came)]


def _line(requests: Counter[str]) -> str:
    return "; ".join(f"{what} x{n}" if n > 1 else what for what, n in sorted(requests.items()))
