"""The dead man's switch: rounds of alerting in a process that needs nothing but the database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mirror.alerts.channels import open_channels
from mirror.alerts.evaluation import evaluate_and_dispatch, record_outage
from mirror.alerts.outage import Outage
from mirror.config import AlertRule, Settings, Severity, named
from mirror.errors import DatabaseError
from mirror.history import close_dead_runs, database_url, prepare
from mirror.outcome import utcnow

BUDGET = 45.0  # seconds of sending in a round


@dataclass(frozen=True, slots=True)
class WatchdogRound:
    """What a round did, and its errors, a line each."""

    summary: str
    errors: tuple[str, ...] = ()


class Watchdog:
    """Evaluates alerts in rounds, without Prefect, registries or a schedule."""

    def __init__(self, clock: Callable[[], datetime] = utcnow) -> None:
        self._clock = clock
        self._outage: Outage | None = None

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
            done = await evaluate_and_dispatch(settings, record, clock=self._clock, budget=BUDGET)
        except DatabaseError as error:
            failures = await self._outage.away(str(error), channels, self._clock())
            return WatchdogRound("the history database does not answer", (str(error), *failures))
        failures = await self._outage.back(channels, self._clock())
        changes = done.changes
        return WatchdogRound(
            f"alerts: {changes.opened} opened, {changes.repeated} repeated,"
            f" {changes.closed} closed, {done.dispatched.sent} messages sent",
            (*done.dispatched.failures.values(), *failures),
        )


def _ready(url: str | None) -> str:
    found = url or database_url()
    prepare(found)
    close_dead_runs(found)  # where no later run and no person looks
    return found
