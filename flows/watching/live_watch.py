"""The watch as a process that stays: looks by mirror.checks, syncs as flow runs in this process.

One leads: where several run, the others wait for its lock in the history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from flows.orchestration import load_secret
from flows.sync_mirror import sharing
from flows.watching.entry_watch import EntryWatch
from flows.watching.kept_clients import KeptClients
from flows.watching.sync_runs import SyncRuns
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
    sources_of,
    watch_source,
)
from mirror.config import MirrorSettings, Settings, load_settings, settings_changed
from mirror.errors import MirrorError
from mirror.history import (
    DatabaseAway,
    LockLost,
    PostgresRecorder,
    TargetLocked,
    database_url,
    listen_to_hooks,
    mirror_row,
    prepare,
)
from mirror.sync import open_clients

LEADER: Final = "the watch"
"""What the leader locks in the history."""
_RETRY: Final = 5.0  # seconds until the lock, or a history that was away, is tried again
_PATIENCE: Final = 8.0  # seconds that running syncs have to end once the watch is stopped


@dataclass(frozen=True)
class Reports:
    """Where the watch says what happens."""

    look: Callable[[Look], None]
    sync: Callable[[SyncEnd], None]
    say: Callable[[str], None]


async def live_watch(stop: asyncio.Event, reports: Reports) -> None:
    """Watch the sources of mirrors.yaml until `stop` is set; then running syncs end or are ended.

    mirrors.yaml is read again when it changes. Raises ConfigError for one that is wrong at the
    start, and DatabaseAway for a history that is away then.
    """
    settings = load_settings()
    url = await asyncio.to_thread(database_url)
    await asyncio.to_thread(prepare, url)
    watching = asyncio.create_task(_lead(settings, url, reports))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if watching.done():
        await watching
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def _lead(settings: Settings, url: str, reports: Reports) -> None:
    waiting = False
    while True:
        try:
            async with (
                PostgresRecorder.open(url) as recorder,
                recorder.target_lock(LEADER) as lock,
            ):
                waiting = False
                await lock.hold(_watch(settings, recorder, reports))
        except TargetLocked:
            if not waiting:
                reports.say("another watch is running; waiting for it to end")
            waiting = True
        except (LockLost, DatabaseAway) as error:
            reports.say(str(error))
        await asyncio.sleep(_RETRY)


async def _watch(settings: Settings, recorder: PostgresRecorder, reports: Reports) -> None:
    """Watch as the leader; with new settings whenever mirrors.yaml has changed."""
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(sharing())
        runs = SyncRuns(recorder, settings, shared)

        async def ended(end: SyncEnd) -> None:
            reports.sync(end)

        syncs = SyncStarter(runs.sync, ended)
        stack.push_async_callback(syncs.stop, _PATIENCE)
        while True:
            runs.settings = settings
            watching = asyncio.create_task(_follow(settings, recorder, syncs, reports))
            changing = asyncio.create_task(settings_changed(settings, reports.say))
            try:
                await asyncio.wait({watching, changing}, return_when=asyncio.FIRST_COMPLETED)
                if not changing.done():
                    await watching
                settings = await changing
            finally:
                watching.cancel()
                changing.cancel()
                await asyncio.gather(watching, changing, return_exceptions=True)
            reports.say(f"{settings.path} has changed")


async def _follow(
    settings: Settings, recorder: PostgresRecorder, syncs: SyncStarter, reports: Reports
) -> None:
    for mirror in settings.mirrors.values():
        await recorder.ensure_mirror(mirror_row(mirror))
    rows = WatchRows(recorder)
    async with KeptClients(settings) as clients:

        async def look(group: tuple[MirrorSettings, ...]) -> WatchResult:
            result = await watch_source(WatchTask(group, recorder, clients.open))
            if result.error is not None:
                await clients.close(group[0])
            return result

        async def ended(look: Look) -> None:
            reports.look(look)
            try:
                await rows.add(look)
                if look.woken and look.result is not None and look.result.error is None:
                    await recorder.hook_events_looked(look.source, look.started_at)
            except DatabaseAway as error:
                reports.say(str(error))

        async def answers(mirror: MirrorSettings, tag: str) -> bool:
            try:
                async with open_clients(settings, mirror, secrets=load_secret) as opened:
                    return await both_answer(opened, mirror, tag)
            except MirrorError as error:  # such as a credential that is gone
                reports.say(f"{mirror.name}: {error}")
                return False

        def start(name: str, source: str) -> None:
            syncs.start(name, source, at_once=True)

        watch = LiveWatch(by_source(settings.mirrors.values()), look, syncs, ended)
        entries = [
            EntryWatch(entry, settings, recorder, syncs, reports.say)
            for entry in settings.entries.values()
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(watch.run())
            group.create_task(Returns(settings, recorder, answers, start).run())
            group.create_task(_listen(recorder, settings, watch, entries))
            for entry in entries:
                group.create_task(entry.run())


async def _listen(
    recorder: PostgresRecorder,
    settings: Settings,
    watch: LiveWatch,
    entries: Sequence[EntryWatch],
) -> None:
    """Wake the watch for every reported push. Without the history nothing is heard: it is asked
    again once it is back."""
    sources = sorted({mirror.source for mirror in settings.mirrors.values()})
    while True:
        with suppress(DatabaseAway):  # the looks report it
            async for _ in listen_to_hooks(recorder.url):
                noted: dict[UUID, str | None] = {}
                named: set[str] = set()
                for event, repository in (await recorder.new_hook_events()).items():
                    found = sources_of(repository, sources)
                    named.update(found)
                    noted[event] = found[0] if found else None
                    for entry in entries:
                        entry.wake(repository)
                if noted:
                    await recorder.hook_events_noted(noted)
                for source in named:
                    watch.wake(source)
        await asyncio.sleep(_RETRY)
