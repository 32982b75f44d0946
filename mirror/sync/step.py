"""How a sync runs its steps, how long each took and how far they are.

A flow makes Prefect tasks of the steps, a test calls them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from mirror.telemetry import span, telemetry_on

T = TypeVar("T")


class StepBroken(Exception):
    """A step ended without a result, by a defect; the message says how."""


class Step(Protocol):
    """Runs the work of a step and returns its result.

    `name` is discover, diff, copy or verify; `subject` is what it looks at: a repository, for a
    copy its tags. Raises what the
    work raises; a step of copies may raise StepBroken instead, which fails those tags alone.
    """

    def __call__(
        self, name: str, work: Callable[[], Awaitable[T]], subject: str = ""
    ) -> Awaitable[T]:
        """Run the step."""


class Log(Protocol):
    """Writes a line to the log of the step that runs."""

    def __call__(self, line: str, *, failed: bool = False) -> None:
        """Write it; `failed` marks an error."""


def no_log(line: str, *, failed: bool = False) -> None:
    """The plain log: nowhere."""


async def call(name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
    """The plain step: a call."""
    return await work()


def traced(step: Step) -> Step:
    """The step with a span around it, where traces are sent."""
    if not telemetry_on():
        return step

    async def traced_step(name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
        with span(name, {"mirror.step.subject": subject} if subject else None):
            return await step(name, work, subject)

    return traced_step


class StepTimer:
    """Seconds by step. Blocks of one step that overlap count once."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock` gives seconds from any start."""
        self._clock = clock
        self._seconds: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._running: Counter[str] = Counter()

    @contextmanager
    def measure(self, step: str, since: float | None = None) -> Iterator[None]:
        """Add the time of the block to a step.

        `since`: when the step began, by the clock, if that was before the block.
        """
        if not self._running[step]:
            self._since[step] = self._clock() if since is None else since
        self._running[step] += 1
        try:
            yield
        finally:
            self._running[step] -= 1
            if not self._running[step]:
                spent = self._clock() - self._since[step]
                self._seconds[step] = self._seconds.get(step, 0.0) + spent

    def seconds(self) -> dict[str, float]:
        """Seconds by step so far, to a tenth of a millisecond."""
        return {step: round(spent, 4) for step, spent in self._seconds.items()}


@dataclass
class SyncProgress:
    """What is to be copied and what has been copied; bytes and tags.

    waits_for: the registry at which nothing may be done yet; empty if there is none.
    """

    waits_for: str = ""
    expected: int = 0
    done: int = 0
    tags: int = 0
    tags_done: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there are tags to copy."""

    def add_tags(self, count: int) -> None:
        """`count` more tags are going to be copied."""
        self.tags += count
        if count:
            self.started.set()

    def expect(self, size: int) -> None:
        """A blob of `size` bytes is going to be streamed."""
        self.expected += size

    def advance(self, size: int) -> None:
        """`size` more bytes have reached the target."""
        self.done += size

    @property
    def share(self) -> float:
        """0 to 1; by bytes, and by tags where there are no bytes."""
        if self.expected:
            return min(self.done / self.expected, 1.0)
        return self.tags_done / self.tags if self.tags else 1.0
