"""Why this process ends: noted where a signal arrives, read where work is cut off for it."""

from __future__ import annotations

import signal
from typing import Final

_RECEIVED: Final[list[int]] = []


def note_stop(number: int) -> None:
    """A signal arrived that ends this process."""
    _RECEIVED.append(number)


def stopped_by() -> str | None:
    """The first such signal in words, such as `SIGTERM`; None while nothing ends the process."""
    return signal.Signals(_RECEIVED[0]).name if _RECEIVED else None
