"""How long each step of a sync took; steps overlap, so their sum is not the total."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class StepTimer:
    """Seconds by step. Blocks of one step that overlap count once."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._running: Counter[str] = Counter()

    @contextmanager
    def measure(self, step: str, since: float | None = None) -> Iterator[None]:
        """Add the time of the block to a step.

        `since`: when the step began, by time.perf_counter, if that was before the block.
        """
        if not self._running[step]:
            self._since[step] = since or time.perf_counter()
        self._running[step] += 1
        try:
            yield
        finally:
            self._running[step] -= 1
            if not self._running[step]:
                spent = time.perf_counter() - self._since[step]
                self._seconds[step] = self._seconds.get(step, 0.0) + spent

    def seconds(self) -> dict[str, float]:
        """Seconds by step so far, to a tenth of a millisecond."""
        return {step: round(spent, 4) for step, spent in self._seconds.items()}
