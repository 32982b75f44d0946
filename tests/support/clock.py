"""A clock that the test sets, for whole syncs: `utcnow` reads it instead of the machine's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from unittest.mock import patch

from mirror import outcome


@contextmanager
def clock_set_to(now: Callable[[], datetime]) -> Iterator[None]:
    """Let every `utcnow()` of the process give another moment within the block."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # plain
            return now()

    with patch.object(outcome, "datetime", Clock):
        yield
