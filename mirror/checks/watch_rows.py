"""What the live watch writes of its looks: every one that found something or failed, and one row an
hour for those that found nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mirror.checks.check_recorder import CheckRecorder
from mirror.checks.live_watch import Look
from mirror.checks.watch import WatchResult, watch_row
from mirror.history import WatchKey

_A_ROW: Final = timedelta(hours=1)
_WRITTEN_EVERY: Final = timedelta(minutes=1)


@dataclass
class _Quiet:
    """The row of a source's looks that found nothing, and what is not written to it yet."""

    key: WatchKey
    written_at: datetime
    requests: int = 0


class WatchRows:
    """Writes looks to the history."""

    def __init__(self, recorder: CheckRecorder) -> None:
        self._recorder = recorder
        self._quiet: dict[str, _Quiet] = {}

    async def add(self, look: Look) -> None:
        """Write a look, if it is to be. Raises DatabaseAway."""
        if (result := look.result) is None:
            return
        if result.moved or result.error is not None:
            await self._recorder.add_watch(watch_row([result], look.started_at, look.ended_at))
            return
        row = self._quiet.get(look.source)
        if row is None or look.ended_at - row.key.started_at >= _A_ROW:
            await self._new_row(look, result)
            return
        row.requests += result.requests
        if look.ended_at - row.written_at >= _WRITTEN_EVERY:
            await self._recorder.extend_watch(row.key, look.ended_at, row.requests)
            row.requests, row.written_at = 0, look.ended_at

    async def _new_row(self, look: Look, result: WatchResult) -> None:
        key = await self._recorder.add_watch(watch_row([result], look.started_at, look.ended_at))
        self._quiet[look.source] = _Quiet(key, look.ended_at)
