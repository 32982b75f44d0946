"""Whether the connections to a registry break, and after how many bytes."""

from __future__ import annotations

import statistics
from typing import Final

_LEAST: Final = 1 << 20  # a connection that broke sooner says nothing about the others
_SEVERAL: Final = 2  # one break is an accident
_REMEMBERED: Final = 16


class ConnectionHealth:
    """Breaks of connections to one registry, and how much one surely carries."""

    def __init__(self) -> None:
        self._breaks: list[int] = []
        self._careful = False

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
