"""What an emulated link is like: the only value that harness and emulator share."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

MEGABIT = 1_000_000 / 8
"""Bytes in a megabit, decimal as links are sold."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A link between a client and one server, the same in both directions.

    round_trip: seconds from a byte sent to its echo received; a new connection costs one more.
    rate: bytes/s that all connections share, fairly, in each direction; None is unlimited.
    connection_rate: bytes/s that one connection reaches at most in each direction.
    break_after: bytes in one direction after which a connection is reset.
    """

    round_trip: float = 0.0
    rate: float | None = None
    connection_rate: float | None = None
    break_after: int | None = None

    @classmethod
    def of(
        cls,
        milliseconds: float = 0.0,
        megabits: float | None = None,
        connection_megabits: float | None = None,
        break_after: int | None = None,
    ) -> Shape:
        """A shape from the units that people say: ms of round trip, Mbit/s, bytes."""
        return cls(
            milliseconds / 1000,
            None if megabits is None else megabits * MEGABIT,
            None if connection_megabits is None else connection_megabits * MEGABIT,
            break_after,
        )

    @classmethod
    def from_json(cls, text: str) -> Shape:
        """The inverse of `to_json`."""
        return replace(cls(), **json.loads(text))

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        parts = [f"{self.round_trip * 1000:g} ms"]
        parts.append("any rate" if self.rate is None else f"{self.rate / MEGABIT:g} Mbit/s")
        if self.connection_rate is not None:
            parts.append(f"{self.connection_rate / MEGABIT:g} Mbit/s a connection")
        if self.break_after is not None:
            parts.append(f"breaks every {self.break_after / 1e6:g} MB")
        return ", ".join(parts)


UNSHAPED = Shape()
"""Loopback as it is, through the emulator."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What has passed a link since it was last shaped."""

    connections: int
    to_server: int  # bytes
    to_client: int  # bytes
    broken: int  # connections that the emulator reset
