"""Push, fault, sync, heal, sync until everything has arrived: again and again."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from faults.acting import Fired
from faults.figures import Figures
from faults.invariants import Inspector
from faults.kinds import KINDS
from faults.stage import Run, Stage

HUNG = 180.0  # seconds: longer than any deadline of the client
RECOVERED_WITHIN = 60.0  # seconds after the fault
AT_ONCE = (1, 1, 1, 2, 3)  # faults of an episode


@dataclass
class Episodes:
    """The faults of one seed."""

    stage: Stage
    figures: Figures
    inspector: Inspector
    only: tuple[str, ...] = ()
    _violations: set[str] = field(default_factory=set)

    async def run(self, faults: int, seconds: float) -> None:
        """Episodes until so many faults have hit, or that long."""
        end = time.monotonic() + seconds
        watching = asyncio.create_task(self.inspector.watch())
        try:
            while self.figures.total < faults and time.monotonic() < end:
                await self._episode()
                if watching.done():
                    await watching
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        self.figures.take(self.stage, self.inspector)

    async def _episode(self) -> None:
        stage, rng, before = self.stage, self.stage.rng, self.figures.total
        await stage.push_some()
        kinds = list(self.only or KINDS)
        chosen = rng.sample(kinds, min(rng.choice(AT_ONCE), len(kinds)))
        started: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        fired = {kind: Fired() for kind in chosen}
        async with AsyncExitStack() as armed:
            for kind in chosen:
                await armed.enter_async_context(KINDS[kind](stage, rng, started, fired[kind]))
            run = await stage.begin_run(full=rng.random() < 0.3)
            started.set_result(run)
            await self._end(run, chosen)
        stage.at_source.heal()
        stage.at_target.heal()
        for kind, how in fired.items():
            if how.times:
                self.figures.faults[kind] += 1
        await self._recover(chosen)
        if self.figures.total // 50 > before // 50:
            print(f"{self.figures.total} faults", file=sys.stderr, flush=True)

    async def _end(self, run: Run, chosen: list[str]) -> None:
        done, _ = await asyncio.wait({run.ended}, timeout=HUNG)
        if not done:
            self.figures.hung.append(", ".join(chosen))
            run.signal(signal.SIGCONT)
            run.signal(signal.SIGKILL)
        said = await run.ended
        self.figures.statuses[said["status"]] += 1
        self.figures.longest_run = max(self.figures.longest_run, time.monotonic() - run.started)
        if said["status"] == "crashed":
            self.figures.crashes.append((", ".join(chosen), said["errors"][0]))

    async def _recover(self, chosen: list[str]) -> None:
        """Sync as the schedule does, until source and target agree and the record says so."""
        healed, wrong, first = time.monotonic(), ["never looked"], True
        while wrong and time.monotonic() - healed < 3 * RECOVERED_WITHIN:
            if not first:
                await asyncio.sleep(0.5)
            first = False
            await self._end(await self.stage.begin_run(full=True), ["recovery", *chosen])
            wrong = await self.inspector.at_rest()
        seconds = time.monotonic() - healed
        if wrong:
            new = [each for each in wrong if each not in self._violations]
            self._violations.update(new)
            for each in new:  # at once, since a run of hundreds of faults takes an hour
                self.figures.violations.append(f"{', '.join(chosen)}: {each}")
                print(self.figures.violations[-1], file=sys.stderr, flush=True)
        if wrong or seconds > RECOVERED_WITHIN:
            self.figures.unrecovered += 1
        else:
            self.figures.recovered += 1
        if seconds > self.figures.longest_recovery:
            self.figures.longest_recovery, self.figures.longest_after = seconds, ", ".join(chosen)
