"""The syncs that the watch starts: flow runs in its process, seen in Prefect's UI."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from flows.orchestration import outcome_as
from flows.sync import sync_flow
from flows.sync_entry import sync_entry_flow
from flows.sync_mirror import Shared
from mirror.config import Settings
from mirror.history import PostgresRecorder
from mirror.outcome import RunOutcome, Trigger

_GATHER: Final = 0.2  # seconds: repositories that one look found are synced by one flow run
_HOW: Final = {"full": False, "trigger": Trigger.WATCH.value}


@dataclass
class _Group:
    """Repositories of an entry that are synced by one flow run."""

    ends: dict[str, asyncio.Future[RunOutcome]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None  # that syncs them

    def end(self, name: str, end: RunOutcome | BaseException) -> None:
        """Pass on how a sync ended, once."""
        future = self.ends[name]
        if future.done():
            return
        if isinstance(end, RunOutcome):
            future.set_result(end)
        else:
            future.set_exception(end)

    def leave(self, name: str) -> None:
        """Nobody waits for that sync any more. Without anybody the run is cancelled."""
        if not self.ends[name].done():
            self.ends[name].cancel()
        if self.task and all(end.cancelled() for end in self.ends.values()):
            self.task.cancel()


@dataclass
class SyncRuns:
    """Runs syncs as flow runs of this process; of repositories of one entry, many by one run."""

    recorder: PostgresRecorder
    settings: Settings
    shared: Shared
    _flow: Any = field(init=False)
    _gathering: dict[str, _Group] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The watch repeats a sync that failed, so that Prefect need not.
        self._flow = sync_flow(shared=self.shared).with_options(retries=0)

    async def sync(self, name: str) -> RunOutcome | None:
        """Sync a mirror; None where another run holds its target."""
        # Only asked: the flow locks it itself, and would record that it could not.
        if await self.recorder.is_locked(self.settings.mirror(name).target):
            return None
        entry, of_many, _ = name.partition("/")
        return await (self._with_others(entry, name) if of_many else self._alone(name))

    async def _alone(self, name: str) -> RunOutcome:
        async with self.shared.turns:
            state: Any = await self._flow(mirror=name, return_state=True, **_HOW)
        return await outcome_as(state, RunOutcome, f"the sync of {name}")

    async def _with_others(self, entry: str, name: str) -> RunOutcome:
        """Sync a repository, in one run with those of its entry that are asked for meanwhile."""
        group = self._gathering.get(entry)
        if group is None:
            group = self._gathering[entry] = _Group()
            group.task = asyncio.create_task(self._sync_group(entry, group))
        end: asyncio.Future[RunOutcome] = asyncio.get_running_loop().create_future()
        group.ends[name] = end
        try:
            return await end
        finally:
            group.leave(name)

    async def _sync_group(self, entry: str, group: _Group) -> None:
        try:
            await asyncio.sleep(_GATHER)
        finally:
            del self._gathering[entry]
        names = list(group.ends)
        if len(names) == 1:
            (end,) = await asyncio.gather(self._alone(names[0]), return_exceptions=True)
            group.end(names[0], end)
            return
        flow: Any = sync_entry_flow(shared=self.shared, ended=group.end).with_options(retries=0)
        running: Any = flow(entry=entry, mirrors=names, return_state=True, **_HOW)
        states: list[object] = await asyncio.gather(running, return_exceptions=True)
        # Each has ended by now, unless the flow as a whole has failed before.
        for name in names:
            group.end(name, _error_of(states[0], entry))


def _error_of(state: object, entry: str) -> BaseException:
    if isinstance(state, BaseException):
        return state
    return RuntimeError(f"the sync of {entry} ended without an outcome")
