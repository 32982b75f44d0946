"""What comes from a registry over all connections, and whether more of them bring more.

Where the source caps each connection they do; where the link, the disk or the processor is what
holds a stream up they bring requests and no bytes.
"""

from __future__ import annotations

from typing import Final

from mirror.registry.retries import Clockwork

_WARM_UP: Final = 0.3  # seconds until new connections carry what they can
_TRIAL: Final = 0.5  # seconds that are compared then
_PAYS: Final = 1.2  # times as much must come
_REST: Final = 60.0  # seconds until it is tried again


class Intake:
    """Bytes of blobs that came from one registry, and when more connections last proved useless."""

    def __init__(self, clock: Clockwork) -> None:
        self.clock = clock
        self.bytes = 0
        self._rests_until = 0.0

    def since_now(self) -> Span:
        """A measure of what comes from now on."""
        return Span(self)

    @property
    def more_may_pay(self) -> bool:
        """Whether to try more connections than one a blob."""
        return self.clock.monotonic() >= self._rests_until

    def rest(self) -> None:
        """More connections did not pay: leave it for a while."""
        self._rests_until = self.clock.monotonic() + _REST


class Span:
    """A time from its making on, and what came in it from all connections of a registry."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._begun = intake.clock.monotonic()
        self._bytes = intake.bytes

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return self._intake.clock.monotonic() - self._begun

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return (self._intake.bytes - self._bytes) / self.seconds if self.seconds > 0 else 0.0


class Trial:
    """Whether more connections bring more than came before, looked at once."""

    def __init__(self, intake: Intake, before: float) -> None:
        """`before`: bytes a second of the whole registry with one connection a blob."""
        self._intake = intake
        self._before = before
        self._warm_up: Span | None = intake.since_now()
        self._span: Span | None = None
        self.failed = False

    def ends_in_failure(self) -> bool:
        """True once, when it turns out that they do not."""
        if self._warm_up is not None and self._warm_up.seconds >= _WARM_UP:
            self._warm_up, self._span = None, self._intake.since_now()
        elif self._span is not None and self._span.seconds >= _TRIAL:
            self.failed = self._span.rate < self._before * _PAYS
            self._span = None
            if self.failed:
                self._intake.rest()
            return self.failed
        return False
