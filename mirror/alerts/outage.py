"""Telling of a record that cannot be reached: the one alert that the record cannot keep.

The state is this process's own, so only the running `mirror watchdog` has it, not one from cron.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from mirror.alerts.channels import Channel, Event, Message, NotifyError
from mirror.config import Severity
from mirror.history import Bilingual

PATIENCE = 3  # rounds in a row: a restart of the database is nothing to wake people for

_AWAY = Bilingual(
    "无法访问记录数据库，同步与告警都已停止",
    "the record's database cannot be reached: neither syncs nor alerts work",
)
_BACK = Bilingual("记录数据库恢复可用", "the record's database is back")
_ADVICE = Bilingual(
    "检查 PostgreSQL 与 MIRROR_DATABASE_URL",
    "check PostgreSQL and MIRROR_DATABASE_URL",
)


class Outage:
    """An outage of the record: told once, repeated at the pace, and called off."""

    def __init__(self, pace: timedelta) -> None:
        self._pace = pace
        self._rounds = 0
        self._since: datetime | None = None
        self._told: dict[str, datetime] = {}  # by channel, when it last heard of it

    async def away(self, error: str, channels: Iterable[Channel], now: datetime) -> list[str]:
        """A round in which the record did not answer. Gives the channels' errors."""
        self._rounds += 1
        self._since = self._since or now
        if self._rounds < PATIENCE:
            return []
        due = [
            channel
            for channel in channels
            if (told := self._told.get(channel.name)) is None or now - told >= self._pace
        ]
        return await self._tell(due, _AWAY, error, self._since, now)

    async def back(self, channels: Iterable[Channel], now: datetime) -> list[str]:
        """A round in which the record answered. Gives the channels' errors."""
        due = [channel for channel in channels if channel.name in self._told]
        errors = await self._tell(due, _BACK, None, self._since or now, now)
        if not self._told:
            self._rounds, self._since = 0, None
        return errors

    async def _tell(
        self,
        channels: list[Channel],
        what: Bilingual,
        error: str | None,
        since: datetime,
        now: datetime,
    ) -> list[str]:
        def message(channel: Channel) -> Message:
            known = channel.name in self._told
            event = Event.REPEATED if known else Event.OPENED
            return Message(
                event=event if error else Event.RECOVERED,
                severity=Severity.CRITICAL,
                what=what,
                advice=_ADVICE,
                since=since,
                at=now,
                errors=(error,) if error else (),
            )

        async def tell(channel: Channel) -> str | None:
            try:
                await channel.send(message(channel), now)
            except NotifyError as failure:
                return str(failure)
            if error:
                self._told[channel.name] = now
            else:
                del self._told[channel.name]
            return None

        failures = await asyncio.gather(*(tell(channel) for channel in channels))
        return [failure for failure in failures if failure]
