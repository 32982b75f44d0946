"""Whether the connections to a registry break, after how many bytes, and whether it is gone."""

from __future__ import annotations

import statistics
from typing import Final

_LEAST: Final = 1 << 20  # a connection that broke sooner says nothing about the others
_SEVERAL: Final = 2  # one break is an accident
_REMEMBERED: Final = 16
_GONE: Final = 30.0  # seconds without a byte, from the first connection that failed


class ConnectionHealth:
    """Breaks of connections to one registry, and how much one surely carries."""

    def __init__(self) -> None:
        self._breaks: list[int] = []
        self._careful = False
        self._silent_since: float | None = None

    def hear(self) -> None:
        """The registry answered, sent a byte or took one."""
        self._silent_since = None

    def miss(self, now: float) -> None:
        """A connection failed, or nothing came over it in time. `now`: seconds, monotonic."""
        if self._silent_since is None:
            self._silent_since = now

    def is_gone(self, now: float) -> bool:
        """Whether nothing was heard for so long that trying again is left to another run.

        A line that is slow or loses much is not gone: a byte in either direction is enough.
        """
        return self._silent_since is not None and now - self._silent_since >= _GONE

    def record_break(self, carried: int, *, costly: bool = False) -> None:
        """A connection broke after `carried` bytes of a body.

        costly: what it carried is lost, so that the first break is one too many.
        """
        if carried >= _LEAST:
            self._breaks = [*self._breaks[1 - _REMEMBERED :], carried]
            self._careful = self._careful or costly

    @property
    def piece(self) -> int | None:
        """Bytes to send or request over one connection; None while connections hold."""
        if not self._breaks or (len(self._breaks) < _SEVERAL and not self._careful):
            return None
        return max(_LEAST // 2, int(statistics.median(self._breaks)) // 2)
