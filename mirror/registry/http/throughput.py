"""How fast blobs arrive: one stream, all streams of a registry, and whether more connections help.

They do where the source caps each connection; where the link, the disk or the processor is the
bottleneck they cost requests and bring no bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mirror.registry.http.retries import Clock

_WARM_UP: Final = 0.3  # seconds until new connections carry what they can
_TRIAL: Final = 0.5  # seconds that are compared then
_PAYS: Final = 1.2  # times as much must arrive
_REST: Final = 60.0  # seconds until it is tried again


class Throughput:
    """Blob bytes from one registry, and when more connections last proved useless."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.bytes = 0
        self._rests_until = 0.0

    def measure(self) -> ThroughputSpan:
        """Measure from now on."""
        return ThroughputSpan(self)

    @property
    def more_may_pay(self) -> bool:
        """Whether to try more than one connection per blob."""
        return self.clock.monotonic() >= self._rests_until

    def rest(self) -> None:
        """More connections did not pay: try no more for a while."""
        self._rests_until = self.clock.monotonic() + _REST


class ThroughputSpan:
    """What arrived from a registry since the span was made, over all connections."""

    def __init__(self, throughput: Throughput) -> None:
        self._throughput = throughput
        self._started = throughput.clock.monotonic()
        self._bytes = throughput.bytes

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return self._throughput.clock.monotonic() - self._started

    @property
    def rate(self) -> float:
        """Bytes per second."""
        seconds = self.seconds
        return (self._throughput.bytes - self._bytes) / seconds if seconds > 0 else 0.0


class ParallelTrial:
    """Whether several connections per blob bring more than one did, decided once."""

    def __init__(self, throughput: Throughput, before: float) -> None:
        """before: bytes per second of the whole registry with one connection per blob."""
        self._throughput = throughput
        self._before = before
        self._warm_up: ThroughputSpan | None = throughput.measure()
        self._span: ThroughputSpan | None = None
        self.failed = False

    def ends_in_failure(self) -> bool:
        """True once, when it turns out that they do not."""
        if self._warm_up is not None and self._warm_up.seconds >= _WARM_UP:
            self._warm_up, self._span = None, self._throughput.measure()
        elif self._span is not None and self._span.seconds >= _TRIAL:
            self.failed = self._span.rate < self._before * _PAYS
            self._span = None
            if self.failed:
                self._throughput.rest()
            return self.failed
        return False


class StreamMeter:
    """How fast one stream arrives, and how much of its time its reader waits for it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._asked = monotonic()
        self._arrived = False
        self._since: float | None = None  # the reader's return for the second piece
        self._waited = 0.0
        self.bytes = 0

    def requested(self) -> None:
        """The reader waits for the next piece."""
        self._asked = self._monotonic()
        if self._arrived and self._since is None:
            self._since = self._asked

    def received(self, size: int) -> None:
        """A piece of `size` bytes arrived."""
        if self._since is not None:
            self._waited += self._monotonic() - self._asked
            self.bytes += size
        self._arrived = True

    @property
    def seconds(self) -> float:
        """Since the reader took the first piece: it may arrive long before it is wanted."""
        return self._monotonic() - self._since if self._since is not None else 0.0

    @property
    def rate(self) -> float:
        """Bytes per second since then."""
        return self.bytes / self.seconds if self.seconds else 0.0

    @property
    def waiting_share(self) -> float:
        """Share of that time that the reader waited: near 1 the source is the bottleneck."""
        return self._waited / self.seconds if self.seconds else 0.0
