"""How a sync runs its steps: a flow makes Prefect tasks of them, a test calls them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class StepBroken(Exception):
    """A step ended without a result, by a defect; the message says how."""


class Step(Protocol):
    """Runs the work of a step and returns its result.

    `name` is discover, diff, copy or verify; a copy's `subject` is its tag. Raises what the work
    raises; a step of a copy may raise StepBroken instead, which fails that tag alone.
    """

    def __call__(
        self, name: str, work: Callable[[], Awaitable[T]], subject: str = ""
    ) -> Awaitable[T]:
        """Run the step."""


async def call(name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
    """The plain step: a call."""
    return await work()
