"""Alerts about an unreachable history database: the one alert that the database cannot keep.

The state lives in this process, so only the running `mirror watchdog` has it, not one from cron.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from mirror.alerts.channels import Channel, Event, Message, NotifyError
from mirror.config import AlertRule, Severity
from mirror.history import SAYINGS, Bilingual

PATIENCE = 3  # rounds in a row: a restart of the database should wake nobody

_SAYINGS = SAYINGS[AlertRule.DATABASE_AWAY]


class Outage:
    """An outage of the database: alerted once, repeated, and closed."""

    def __init__(self, repeat: timedelta) -> None:
        self._repeat = repeat
        self._rounds = 0
        self._since: datetime | None = None
        self._written = False
        self._alerted: dict[str, datetime] = {}  # by channel, when it last got a message

    def over(self) -> datetime | None:
        """When an outage began that is over now and lasted, once; None if there was none."""
        if self._since is None or self._rounds < PATIENCE or self._written:
            return None
        self._written = True
        return self._since

    async def away(self, error: str, channels: Iterable[Channel], now: datetime) -> list[str]:
        """A round in which the database did not answer. Returns the channels' errors."""
        self._rounds += 1
        self._written = False
        self._since = self._since or now
        if self._rounds < PATIENCE:
            return []
        due = [
            channel
            for channel in channels
            if (last := self._alerted.get(channel.name)) is None or now - last >= self._repeat
        ]
        return await self._send(due, _SAYINGS.holds, error, self._since, now)

    async def back(self, channels: Iterable[Channel], now: datetime) -> list[str]:
        """A round in which the database answered. Returns the channels' errors."""
        due = [channel for channel in channels if channel.name in self._alerted]
        errors = await self._send(due, _SAYINGS.over, None, self._since or now, now)
        if not self._alerted:
            self._rounds, self._since, self._written = 0, None, False
        return errors

    async def _send(
        self,
        channels: list[Channel],
        what: Bilingual,
        error: str | None,
        since: datetime,
        now: datetime,
    ) -> list[str]:
        def message(channel: Channel) -> Message:
            known = channel.name in self._alerted
            event = Event.REPEATED if known else Event.OPENED
            return Message(
                event=event if error else Event.RECOVERED,
                severity=Severity.CRITICAL,
                what=what,
                advice=_SAYINGS.advice,
                since=since,
                at=now,
                errors=(error,) if error else (),
            )

        async def send(channel: Channel) -> str | None:
            try:
                await channel.send(message(channel), now)
            except NotifyError as failure:
                return str(failure)
            if error:
                self._alerted[channel.name] = now
            else:
                del self._alerted[channel.name]
            return None

        failures = await asyncio.gather(*(send(channel) for channel in channels))
        return [failure for failure in failures if failure]
