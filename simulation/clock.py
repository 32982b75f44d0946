"""Simulated time: a loop that jumps to its next timer whenever nothing is at work outside of it.

The product reads time at three places: `mirror.outcome.utcnow`, the registry client's `Clock`, and
the event loop (sleeps, timeouts). All three give simulated time within `simulated()`; nothing of
the product is changed for it. While PostgreSQL or a thread works, no time passes, so an hour of
waiting costs nothing and a slow machine makes nothing late.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]  # private
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from unittest.mock import patch

from mirror.registry import Clock
from tests.support.clock import clock_set_to

T = TypeVar("T")
_PASSING = 0.001  # seconds that the kernel may take to pass bytes between sockets of this process
_STUCK = 60.0  # seconds without a timer, with nothing at work outside: somebody waits for ever


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` is simulated. Databases and threads are really waited for."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.passing = False  # bytes may be on their way between two sockets of this process
        self._threads = 0
        self._descriptors: set[int] = set()
        super().__init__(_Selector(self))

    @property
    def waits_outside(self) -> bool:
        """Whether a thread works, or a descriptor is waited for that is no transport's: psycopg."""
        return bool(self._threads or self._descriptors)

    def time(self) -> float:
        """Simulated seconds since the loop began."""
        return self.elapsed

    def run_in_executor(  # type: ignore[override]  # typeshed's are generic
        self, executor: Any, func: Any, *args: Any
    ) -> asyncio.Future[Any]:
        """As the loop does, while time stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """As the loop does."""
        self.passing = True
        await super().sock_connect(sock, address)

    def _thread_ended(self, _: object) -> None:
        self._threads -= 1

    def add_reader(  # type: ignore[override]  # typeshed's are generic
        self, fd: Any, callback: Any, *args: Any
    ) -> None:
        """As the loop does, while time stands still."""
        self._descriptors.add(_number(fd))
        super().add_reader(fd, callback, *args)

    def add_writer(  # type: ignore[override]  # typeshed's are generic
        self, fd: Any, callback: Any, *args: Any
    ) -> None:
        """As the loop does, while time stands still."""
        self._descriptors.add(_number(fd))
        super().add_writer(fd, callback, *args)

    def remove_reader(self, fd: Any) -> bool:
        """As the loop does."""
        self._descriptors.discard(_number(fd))
        return super().remove_reader(fd)

    def remove_writer(self, fd: Any) -> bool:
        """As the loop does."""
        self._descriptors.discard(_number(fd))
        return super().remove_writer(fd)


def _number(fd: Any) -> int:
    return fd if isinstance(fd, int) else int(fd.fileno())


class _Selector(selectors.BaseSelector):
    """Waits as long as something is at work; else lets the time pass that was asked for."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Ready descriptors."""
        ready = self._real.select(0)
        if ready or timeout == 0:
            self._loop.passing |= bool(ready)
            return ready
        if self._loop.waits_outside:
            return self._real.select(_STUCK)
        if self._loop.passing:
            if ready := self._real.select(_PASSING):
                return ready
            self._loop.passing = False
        if timeout is None:
            if not (ready := self._real.select(_STUCK)):
                raise RuntimeError("everything waits for something that will never happen")
            return ready
        self._loop.elapsed += timeout
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the selector does."""
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """As the selector does."""
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the selector does."""
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        """As the selector does."""
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """As the selector does."""
        return self._real.get_map()


class Time:
    """The simulated moment, in all the forms in which the product asks for it."""

    def __init__(self, loop: SimulatedLoop, start: datetime) -> None:
        self._loop = loop
        self.start = start

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return self.start + timedelta(seconds=self._loop.elapsed)

    def unix(self) -> float:
        """Seconds since 1970."""
        return self.now().timestamp()

    def monotonic(self) -> float:
        """Seconds since the start."""
        return self._loop.elapsed

    async def until(self, moment: datetime) -> None:
        """Sleep until then; returns at once if it has passed."""
        await asyncio.sleep(max(0.0, (moment - self.now()).total_seconds()))


def simulate(
    work: Callable[[Time], Coroutine[Any, Any, T]], start: datetime, rng: random.Random
) -> T:
    """Run `work` from `start` on, in simulated time. Chance in retries comes from `rng`."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, SimulatedLoop)
        time = Time(loop, start.astimezone(UTC))
        with clock_set_to(time.now), _registry_clock(time, rng), _writes_noted(loop):
            return runner.run(work(time))


@contextmanager
def _registry_clock(time: Time, rng: random.Random) -> Iterator[None]:
    """Let `Clock()` of the registry client give simulated time."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)

    defaults = (time.now, sleep, time.monotonic, rng.random)
    with patch.object(Clock.__init__, "__defaults__", defaults):
        yield


@contextmanager
def _writes_noted(loop: SimulatedLoop) -> Iterator[None]:
    """Let the loop know when a socket of this process is written to."""
    write = _SelectorSocketTransport.write

    def noted(transport: Any, data: Any) -> None:
        loop.passing = True
        write(transport, data)

    with patch.object(_SelectorSocketTransport, "write", noted):
        yield
