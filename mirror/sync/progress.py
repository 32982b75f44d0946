"""Bytes on their way, for whoever wants to watch a run."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Meter:
    """What a run has to bring over and what it has brought; bytes and tags."""

    expected: int = 0
    done: int = 0
    tags: int = 0
    tags_done: int = 0

    def expect(self, size: int) -> None:
        """A blob of `size` bytes has to be streamed."""
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


METER: ContextVar[Meter | None] = ContextVar("mirror_meter", default=None)
"""Set by whoever starts a run and wants to watch it (the bar of `mirror sync`)."""
