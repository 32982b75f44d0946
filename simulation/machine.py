"""What `mirror up` runs, without Prefect: the watch, the schedules, alerts and maintenance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from mirror.alerts import Watchdog, evaluate_and_dispatch
from mirror.checks import (
    LiveWatch,
    Look,
    Returns,
    SyncEnd,
    SyncStarter,
    WatchResult,
    WatchRows,
    WatchTask,
    both_answer,
    by_source,
    watch_source,
)
from mirror.config import MirrorSettings
from mirror.errors import DatabaseError, MirrorError
from mirror.history import (
    PostgresRecorder,
    TargetLocked,
    create_engine,
    maintain_history,
    mirror_row,
)
from mirror.outcome import Reason, RetryRule, RunOutcome, RunStatus, Trigger
from mirror.sync import MirrorClients, Prefetch, SyncContext, image_rules_of, refuse, run
from simulation.ledger import Ran
from simulation.noted import BEGUN, noting
from simulation.world import World

_ALERTED: Final = """
    SELECT EXISTS (SELECT FROM alert WHERE closed_at IS NULL)
        OR EXISTS (SELECT FROM alert_delivery WHERE sent_at IS NULL AND gave_up_at IS NULL)
"""
RETRIES, RETRY_AFTER = 3, 300.0  # of the flow `sync` (flows/sync.py)
REPORT: Final = timedelta(minutes=15)
WATCHDOG: Final = timedelta(minutes=1)
_RESTART: Final = 8.0  # seconds, as the supervisor waits at most


@dataclass
class Machine:
    """One `mirror up`."""

    world: World
    watchdog_every: timedelta = WATCHDOG
    alerting: bool = True
    rounds: list[datetime] = field(default_factory=list)  # in which alerts were evaluated
    unanswered: list[datetime] = field(default_factory=list)  # rounds of the watchdog
    _work: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Run everything, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep(self._watch))
            for mirror in self.world.settings.mirrors.values():
                group.create_task(self._scheduled(mirror))
            group.create_task(self._every(timedelta(days=1), self._maintain))
            if self.alerting:
                group.create_task(self._every(REPORT, self._look))
                group.create_task(self._dogs())

    def kill(self) -> int:
        """End the watch and every sync as a power cut would; how many there were."""
        work = [*self._work]
        for task in work:
            task.cancel("killed")
        return len(work)

    async def _keep(self, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a part again whenever it was killed."""
        while True:
            await self._killable(part())
            await asyncio.sleep(_RESTART)

    async def _killable(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        try:
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()
        finally:
            self._work.discard(task)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _every(
        self, interval: timedelta, job: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        await asyncio.sleep(self.world.rng.uniform(0, interval.total_seconds()))
        due = self.world.time.monotonic()
        while True:
            await job()
            due += interval.total_seconds()
            await asyncio.sleep(max(0.0, due - self.world.time.monotonic()))

    # The flow `sync`

    async def _scheduled(self, mirror: MirrorSettings) -> None:
        async def job() -> None:
            await self._killable(self._flow(mirror))

        await self._every(mirror.every, job)

    async def _flow(self, mirror: MirrorSettings) -> None:
        for attempt in range(RETRIES + 1):
            if attempt:
                await asyncio.sleep(RETRY_AFTER)
            outcome = await self._sync(mirror, Trigger.SCHEDULE)
            if outcome is not None and not _is_worth_retrying(outcome):
                break
        await self._look()

    async def _sync(self, mirror: MirrorSettings, trigger: Trigger) -> RunOutcome | None:
        """One run; None if the history was away."""
        time, ledger, notes = self.world.time, self.world.ledger, self.world.notes
        started, outcome, defect = time.now(), None, "killed"
        begun: list[str] = []
        BEGUN.set(begun)
        try:
            outcome = await self._run(mirror, trigger)
            defect = ""
        except DatabaseError as error:
            defect = f"database: {error}"
        finally:
            notes.dead |= {run for run in begun if notes.runs[run].ended_at is None}
            ledger.runs.append(
                Ran(mirror.name, trigger.value, started, time.now(), outcome, defect)
            )
        return outcome

    async def _run(self, mirror: MirrorSettings, trigger: Trigger) -> RunOutcome:
        full = trigger is Trigger.SCHEDULE
        async with self.world.clients(mirror) as clients:
            prefetch = Prefetch(
                clients.source,
                clients.target,
                clients.hub,
                full=full,
                images=image_rules_of(mirror),
            )
            async with prefetch, noting(self.world.notes).open(self.world.url) as recorder:
                prefetch.start_listing()
                await recorder.ensure_mirror(mirror_row(mirror))
                context = SyncContext(
                    mirror,
                    clients,
                    recorder,
                    prefetch,
                    full=full,
                    trigger=trigger,
                    retry=RetryRule(**self.world.settings.retry.model_dump()),
                )
                try:
                    async with recorder.target_lock(mirror.target) as lock:
                        outcome, _ = await lock.hold(run(context))
                        return outcome
                except TargetLocked as locked:
                    return await refuse(context, Reason.LOCK, str(locked))

    # The watch (flows/live_watch.py)

    async def _watch(self) -> None:
        try:
            async with PostgresRecorder.open(self.world.url) as recorder:
                await self._follow(recorder)
        except DatabaseError:
            return

    async def _follow(self, recorder: PostgresRecorder) -> None:
        settings = self.world.settings
        for mirror in settings.mirrors.values():
            await recorder.ensure_mirror(mirror_row(mirror))
        rows = WatchRows(recorder)

        async def sync(name: str) -> RunOutcome | None:
            try:
                async with recorder.target_lock(settings.mirror(name).target):
                    pass
            except TargetLocked:
                return None
            outcome = await self._sync(settings.mirror(name), Trigger.WATCH)
            await self._look()
            if outcome is None:
                raise MirrorError("the history is away")
            return outcome

        async def sync_ended(_: SyncEnd) -> None:
            return

        async with AsyncExitStack() as stack:
            syncs = SyncStarter(sync, sync_ended)
            stack.push_async_callback(syncs.stop, 0.0)
            kept = await stack.enter_async_context(_Kept(self.world))

            looks = _Looks(self.world, recorder, kept)

            async def ended(look: Look) -> None:
                try:
                    await rows.add(look)
                except DatabaseError:
                    return  # the next look reports it

            async def answers(mirror: MirrorSettings, tag: str) -> bool:
                async with self.world.clients(mirror) as clients:
                    return await both_answer(clients, mirror, tag)

            def start(name: str, source: str) -> None:
                syncs.start(name, source, at_once=True)

            watch = LiveWatch(by_source(settings.mirrors.values()), looks.look, syncs, ended)
            async with asyncio.TaskGroup() as group:
                group.create_task(watch.run())
                group.create_task(Returns(settings, recorder, answers, start).run())

    # Alerts and maintenance

    async def _look(self) -> None:
        """A round of alerting, as a flow's end and the report make one."""
        if not self.alerting:
            return
        now = self.world.time.now()
        try:
            await evaluate_and_dispatch(self.world.settings, self.world.url)
        except DatabaseError:
            return
        self.rounds.append(now)

    async def _dogs(self) -> None:
        watchdog = Watchdog(monotonic=self.world.time.monotonic)

        async def round_() -> None:
            if self.world.at_rest is not None and not await self._is_alerted():
                return  # it could only find that all is well
            now = self.world.time.now()
            done = await watchdog.look(self.world.settings, self.world.url)
            if done.errors:
                self.unanswered.append(now)
            else:
                self.world.notes.close_dead(now)
                self.rounds.append(now)

        await self._every(self.watchdog_every, round_)

    async def _is_alerted(self) -> bool:
        """Whether an alert is open, or a message is to be sent."""
        try:
            ((found,),) = await self.world.ask(_ALERTED)
        except psycopg.OperationalError:
            return True  # the round finds out
        return bool(found)

    async def _maintain(self) -> None:
        engine = create_engine(self.world.url)
        try:
            await asyncio.to_thread(maintain_history, engine, self.world.time.now())
        except DatabaseError:
            return
        finally:
            engine.dispose()


@dataclass
class _Looks:
    """Looks at the sources. One that can only find what the last one did takes as long, unasked."""

    world: World
    recorder: PostgresRecorder
    kept: _Kept
    _last: dict[str, tuple[tuple[int, int], WatchResult, float]] = field(default_factory=dict)

    async def look(self, group: tuple[MirrorSettings, ...]) -> WatchResult:
        """One look at a source."""
        source, time = group[0].source, self.world.time
        before, last = self.world.at_rest, self._last.get(source)
        if last is not None and last[0] == before:
            await asyncio.sleep(last[2])
            if self.world.at_rest == before:
                return last[1]
        began = time.monotonic()
        result = await watch_source(WatchTask(group, self.recorder, self.kept.open))
        if result.error is not None:
            await self.kept.close(group[0])
        elif not result.moved and before is not None and self.world.at_rest == before:
            self._last[source] = (before, result, time.monotonic() - began)
        return result


class _Kept:
    """Source clients that stay open from look to look, as the watch keeps them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: dict[str, tuple[AsyncExitStack, MirrorClients]] = {}

    async def __aenter__(self) -> _Kept:
        return self

    async def __aexit__(self, *_: object) -> None:
        for stack, _clients in self._kept.values():
            await stack.aclose()

    @asynccontextmanager
    async def open(self, mirror: MirrorSettings) -> AsyncIterator[MirrorClients]:
        """The clients of a mirror's source."""
        if mirror.source not in self._kept:
            stack = AsyncExitStack()
            opened = await stack.enter_async_context(self._world.clients(mirror))
            self._kept[mirror.source] = (stack, opened)
        yield self._kept[mirror.source][1]

    async def close(self, mirror: MirrorSettings) -> None:
        """Open new ones at the next look."""
        if kept := self._kept.pop(mirror.source, None):
            await kept[0].aclose()


def _is_worth_retrying(outcome: RunOutcome) -> bool:
    locked = any(failure.reason is Reason.LOCK for failure in outcome.errors)
    return outcome.status is RunStatus.FAILED and not locked
