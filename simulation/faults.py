"""A fault an hour, drawn from a seed: of a source, a target, the database or the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from simulation.machine import Machine
from simulation.world import HUB, World
from tests.support.fake_registry.faults import CutConnection, ExpireTokens, Respond, Rule

_SHORT, _LONG = (30.0, 240.0), (600.0, 2400.0)  # seconds
_HOUR: Final = 3600.0
_OF_REGISTRIES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "away": (Rule("", CutConnection(), times=None),),
    "server errors": (Rule("", Respond(503), times=None),),
    "too many requests": (Rule("", Respond(429, "TOOMANYREQUESTS"), times=None),),
    "refuses": (Rule("^(POST|PUT|PATCH) ", Respond(403, "DENIED"), times=None),),
    "disk full": (Rule("^(PATCH|PUT) ", Respond(500, "UNKNOWN", "no space left"), times=None),),
}


@dataclass(frozen=True)
class Hit:
    """A fault, from when to when."""

    kind: str
    where: str
    begins: datetime
    ends: datetime


@dataclass
class Faults:
    """One fault in each hour, which ends within it."""

    world: World
    machine: Machine
    hits: list[Hit] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    over: bool = False

    async def run(self) -> None:
        """Hit, until it is over."""
        rng, time = self.world.rng, self.world.time
        while not self.over:
            hour = time.monotonic()
            wait = rng.uniform(0, _HOUR / 4)
            seconds = rng.uniform(*rng.choice((_SHORT, _LONG)))
            kind, where, hit = self._drawn(seconds)
            await asyncio.sleep(wait)
            begins = time.now()
            self.world.faulty += 1
            await hit()
            self.world.faulty -= 1
            self.hits.append(Hit(kind, where, begins, time.now()))
            await asyncio.sleep(hour + _HOUR - time.monotonic())

    def _drawn(self, seconds: float) -> tuple[str, str, Callable[[], Awaitable[None]]]:
        world, rng = self.world, self.world.rng
        kinds: list[tuple[str, str, Callable[[], Awaitable[None]]]] = [
            ("database away", "database", lambda: self._database(min(seconds, 500.0))),
            ("database restarted", "database", lambda: self._database(0.0)),
            ("killed", "machine", self._kill),
        ]
        for host in world.registries:
            for kind in _OF_REGISTRIES:
                if host == HUB and kind in ("refuses", "disk full"):
                    continue  # nobody writes to a source
                kinds.append((kind, host, lambda h=host, k=kind: self._registry(h, k, seconds)))  # type: ignore[misc]  # bound now
            kinds.append(("tokens expire", host, lambda h=host: self._tokens(h, seconds)))  # type: ignore[misc]
        return rng.choice(kinds)

    async def _registry(self, host: str, kind: str, seconds: float) -> None:
        places = [self.world.registries[host].faults]
        if host == HUB:
            places.append(self.world.hub_api.faults)
        for place in places:
            for rule in _OF_REGISTRIES[kind]:
                place.add(rule)
        await asyncio.sleep(seconds)
        for place in places:
            place.clear()

    async def _tokens(self, host: str, seconds: float) -> None:
        registry = self.world.registries[host]
        for skip in range(0, 3000, 60):  # every sixtieth request finds its token expired
            registry.faults.add(Rule("/v2/", ExpireTokens(registry.access), skip=skip))
        await asyncio.sleep(seconds)
        registry.faults.clear()

    async def _database(self, seconds: float) -> None:
        await asyncio.to_thread(self.world.cluster.stop)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self.world.cluster.start)

    async def _kill(self) -> None:
        self.machine.kill()
