"""The progress of syncs, for a bar in the terminal or an artifact."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class SyncProgress:
    """What is to be copied and what has been copied; bytes and tags."""

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
