"""Starts the syncs of mirrors whose source moved: one at a time for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from mirror.outcome import Reason, RunOutcome, RunStatus
from mirror.registry import Clock

_FIRST_PAUSE: Final = 15.0  # seconds
_LONGEST_PAUSE: Final = 300.0
_LONGEST_AWAY: Final = 30.0  # what does not answer: a tag must arrive a minute after its return
_LOCKED_PAUSE: Final = 10.0  # another run is at work on the target


@dataclass
class _Pause:
    """A mirror is not synced again before `until`, by the clock."""

    until: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class SyncEnd:
    """How a sync that the watch started ended: its outcome, or what ended it without one."""

    mirror: str
    outcome: RunOutcome | None
    defect: BaseException | None = None


class SyncStarter:
    """Runs syncs as tasks. One that fails as a whole, or finds nothing, is repeated ever later."""

    def __init__(
        self,
        sync: Callable[[str], Awaitable[RunOutcome | None]],
        ended: Callable[[SyncEnd], Awaitable[None]],
        clock: Clock | None = None,
    ) -> None:
        """`sync` runs one, when it may, and returns None where another run holds the target."""
        self._sync = sync
        self._ended = ended
        self._clock = clock or Clock()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, bool] = {}
        self._pauses: dict[str, _Pause] = {}
        self.on_repeat: Callable[[str], object] = lambda source: None
        """Called with the source of a mirror that moved once more during its sync."""

    def start(self, mirror: str, source: str, *, at_once: bool = False) -> None:
        """Sync a mirror of a source that moved, unless it pauses; `at_once` ends the pause.

        While its sync runs, the source is looked at again when that ends.
        """
        if mirror in self._running:
            self._again[mirror] = True
            return
        pause = self._pauses.setdefault(mirror, _Pause())
        if not at_once and self._clock.monotonic() < pause.until:
            return
        task = asyncio.create_task(self._run(mirror))
        self._running[mirror] = task
        task.add_done_callback(lambda _: self._stopped(mirror, source))

    async def stop(self, patience: float) -> None:
        """Give running syncs so many seconds, then cancel them."""
        running = [*self._running.values()]
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=patience)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, mirror: str) -> None:
        (outcome,) = await asyncio.gather(self._sync(mirror), return_exceptions=True)
        defect = outcome if isinstance(outcome, BaseException) else None
        found = None if isinstance(outcome, BaseException) else outcome
        self._pause(mirror, found, defect)
        if found is not None or defect is not None:
            await self._ended(SyncEnd(mirror, found, defect))

    def _pause(self, mirror: str, outcome: RunOutcome | None, defect: BaseException | None) -> None:
        pause, now = self._pauses[mirror], self._clock.monotonic()
        if defect is None and (outcome is None or _is_locked(outcome)):
            pause.until = now + _LOCKED_PAUSE
        elif outcome is not None and _got_on(outcome):
            pause.until = pause.seconds = 0.0
        else:
            longest = _LONGEST_AWAY if defect or _is_away(outcome) else _LONGEST_PAUSE
            pause.seconds = min(max(2 * pause.seconds, _FIRST_PAUSE), longest)
            pause.until = now + pause.seconds

    def _stopped(self, mirror: str, source: str) -> None:
        del self._running[mirror]
        if self._again.pop(mirror, False):
            self.on_repeat(source)


def _got_on(outcome: RunOutcome) -> bool:
    """Whether it did something: a source that is ahead of itself must not cause syncs for ever."""
    return outcome.status is not RunStatus.FAILED and bool(outcome.tags.changed)


def _is_away(outcome: RunOutcome | None) -> bool:
    return outcome is not None and any(failure.reason.is_away for failure in outcome.errors)


def _is_locked(outcome: RunOutcome) -> bool:
    return any(failure.reason is Reason.LOCK for failure in outcome.errors)
