"""Turns at a registry: of one client, or shared by all clients of a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from mirror.registry.http.concurrency import Concurrency, ConcurrencyLimiter, Window
from mirror.registry.http.endpoint import Endpoint
from mirror.registry.http.retries import Clock


@dataclass(frozen=True, slots=True)
class Turns:
    """What clients of one registry may do at once.

    calls: requests without a blob body. downloads, uploads: blob bodies. window: bytes fetched
    ahead of their readers.
    """

    calls: ConcurrencyLimiter
    downloads: ConcurrencyLimiter
    uploads: ConcurrencyLimiter
    window: Window

    @classmethod
    def of(cls, bounds: Concurrency, clock: Clock) -> Self:
        """Turns within these bounds, none of which is taken."""
        transfers = (bounds.transfers, bounds.transfers, bounds.least, clock)
        return cls(
            ConcurrencyLimiter(bounds.requests, bounds.most_requests, bounds.least, clock),
            ConcurrencyLimiter(*transfers, adapts=False),
            ConcurrencyLimiter(*transfers, adapts=False),
            Window(bounds.window),
        )


class SharedTurns:
    """One set of turns for each registry and use, for mirrors that one event loop syncs at once.

    What one of them learns, a Retry-After or how much the registry sustains, holds for all.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._kept: dict[tuple[str, str], Turns] = {}

    def of(self, endpoint: Endpoint, use: str) -> Turns:
        """The turns at a registry, by what it is used as, such as `source`.

        Uses have separate ones: a copy that holds a turn at its source and waits for one at its
        target must never wait for a copy the other way round.
        """
        key = (endpoint.host, use)
        if key not in self._kept:
            bounds = Concurrency.at_most(endpoint.most_requests)
            self._kept[key] = Turns.of(bounds, self._clock)
        return self._kept[key]
