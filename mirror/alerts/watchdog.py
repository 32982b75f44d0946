"""The dead man's switch: rounds of alerting in a process that needs nothing but the database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mirror.alerts.channels import open_channels
from mirror.alerts.clock_jump import ClockJump
from mirror.alerts.evaluation import evaluate_and_dispatch, record_outage
from mirror.alerts.outage import Outage
from mirror.config import AlertRule, Settings, Severity, named
from mirror.errors import DatabaseError
from mirror.history import close_dead_runs, database_url, prepare
from mirror.outcome import utcnow

_JUMPED = "the clock was set ahead, or the machine slept: nothing was recorded meanwhile"
BUDGET = 45.0  # seconds of sending in a round


@dataclass(frozen=True, slots=True)
class WatchdogRound:
    """What a round did: alerts, messages sent; and its errors, a line each."""

    opened: int = 0
    repeated: int = 0
    closed: int = 0
    sent: int = 0
    errors: tuple[str, ...] = ()
    away: bool = False  # the history database does not answer

    @property
    def summary(self) -> str:
        """The same as a line."""
        if self.away:
            return "the history database does not answer"
        return (
            f"alerts: {self.opened} opened, {self.repeated} repeated,"
            f" {self.closed} closed, {self.sent} messages sent"
        )


class Watchdog:
    """Evaluates alerts in rounds, without Prefect, registries or a schedule."""

    def __init__(
        self,
        clock: Callable[[], datetime] = utcnow,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._jump = ClockJump(clock, monotonic)
        self._outage: Outage | None = None

    @property
    def in_a_hurry(self) -> bool:
        """Whether the next round should not wait: the clock jumped, and other processes judge by it
        what is late as soon as they evaluate the alerts."""
        return self._jump.happened()

    async def look(self, settings: Settings, url: str | None = None) -> WatchdogRound:
        """One round; an unreachable database is reported to the channels directly."""
        self._outage = self._outage or Outage(
            settings.alerting.repeat_interval(AlertRule.NO_SUCCESS)
        )
        channels = open_channels(
            {
                name: entry
                for name, entry in named(settings.alerts).items()
                if entry.wants(Severity.CRITICAL, ())
            }
        ).values()
        try:
            record = await asyncio.to_thread(_ready, url)
            if since := self._outage.over():
                await asyncio.to_thread(record_outage, settings, record, since, self._clock())
            if since := self._jump.take():
                now = self._clock()
                await asyncio.to_thread(record_outage, settings, record, since, now, _JUMPED)
            done = await evaluate_and_dispatch(settings, record, clock=self._clock, budget=BUDGET)
        except DatabaseError as error:
            failures = await self._outage.away(str(error), channels, self._clock())
            return WatchdogRound(errors=(str(error), *failures), away=True)
        failures = await self._outage.back(channels, self._clock())
        changes = done.changes
        return WatchdogRound(
            changes.opened,
            changes.repeated,
            changes.closed,
            done.dispatched.sent,
            (*done.dispatched.failures.values(), *failures),
        )


def _ready(url: str | None) -> str:
    found = url or database_url()
    prepare(found)
    close_dead_runs(found)  # where no later run and no person looks
    return found
