"""People who push: releases at random times, each under its own tag and the floating ones."""

from __future__ import annotations

import asyncio
import time as real_time
from dataclasses import dataclass
from datetime import datetime

from flows.local.sample_registry.images import single
from simulation.world import HUB, World
from tests.support.fake_registry.images import multi_platform

APP, POSTGRESQL = "newbe36524/hagicode", "bitnami/postgresql"


@dataclass
class People:
    """Pushes of the sources that mirrors.yaml ships with."""

    world: World
    a_day: float
    _releases: int = 0

    def begin(self) -> None:
        """The sources hold something before the mirrors start."""
        for _ in range(5):
            self._release()
        self._postgresql()

    async def run(self, until: datetime, patience: float) -> None:
        """Push until then, or until so many real seconds have passed.

        Times between pushes are exponential: any moment is as likely.
        """
        rng, time = self.world.rng, self.world.time
        tired_at = real_time.monotonic() + patience
        while real_time.monotonic() < tired_at:
            wait = rng.expovariate(self.a_day / 86400)
            if time.now().timestamp() + wait >= until.timestamp():
                await time.until(until)
                return
            await asyncio.sleep(wait)
            if rng.random() < 0.1:
                self._postgresql()
            else:
                self._release()

    def _release(self) -> None:
        self._releases += 1
        number = self._releases
        tags = [f"1.{number // 10}.{number % 10}", f"1.{number // 10}", "latest"]
        image = multi_platform(f"app-{self.world.rng.random()}")
        self.world.registries[HUB].store.add_image(APP, tags, image)

    def _postgresql(self) -> None:
        image = single(f"postgresql-{self.world.rng.random()}")
        self.world.registries[HUB].store.add_image(POSTGRESQL, ["16"], image)
