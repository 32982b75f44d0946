"""Jumps of the machine's clock ahead: it was set, or the machine slept.

Nothing could be recorded in an hour that never passed, so schedules look late and goals missed.
The monotonic clock knows: it counts neither a change of the clock nor the sleep of a machine.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

_LEAST: Final = timedelta(minutes=1)  # what slewing a clock and a busy machine explain


class ClockJump:
    """Compares two clocks from call to call."""

    def __init__(self, wall: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        """`monotonic`: seconds, of a clock that nobody sets."""
        self._wall = wall
        self._monotonic = monotonic
        self._last = wall(), monotonic()
        self._since: datetime | None = None

    def happened(self) -> bool:
        """Whether the clock jumped ahead since the last `take`."""
        (wall, monotonic), now = self._last, (self._wall(), self._monotonic())
        self._last = now
        if now[0] - wall - timedelta(seconds=now[1] - monotonic) >= _LEAST:
            self._since = wall
        return self._since is not None

    def take(self) -> datetime | None:
        """From when the clock jumped ahead, once; None if it did not."""
        self.happened()
        since, self._since = self._since, None
        return since
