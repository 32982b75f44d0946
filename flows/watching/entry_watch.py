"""The watch of an entry for many repositories, as a part of the watch that stays.

Each round lists the repositories of the entry and looks at those that may have changed: with Docker
Hub's web API that is one request per hundred repositories while nothing is pushed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from flows.orchestration import load_secret
from flows.sync_entry import keep_looked, look_at
from mirror.checks import SyncStarter, WatchRound, watch_sources
from mirror.config import EntrySettings, Settings
from mirror.errors import MirrorError
from mirror.history import PostgresRecorder
from mirror.sync import open_clients


class EntryWatch:
    """Watches one entry until it is cancelled, and starts the syncs of its repositories."""

    def __init__(
        self,
        entry: EntrySettings,
        settings: Settings,
        recorder: PostgresRecorder,
        syncs: SyncStarter,
        say: Callable[[str], None],
    ) -> None:
        """`say` receives warnings and errors, a line each."""
        self._entry = entry
        self._settings = settings
        self._recorder = recorder
        self._syncs = syncs
        self._say = say
        self._woken = asyncio.Event()

    def wake(self, repository: str) -> None:
        """Look now if a push to `repository`, by whatever host name, may concern this entry."""
        path = self._entry.prefix
        if repository.startswith(path) or repository.partition("/")[2].startswith(path):
            self._woken.set()

    async def run(self) -> None:
        """Look again and again. Returns only by being cancelled."""
        while True:
            self._woken.clear()
            try:
                found = await self._look()
            except MirrorError as error:  # the history is away, or two targets collide
                self._say(f"{self._entry.name}: {error}")
            else:
                for result in found.results:
                    for name in result.moved:
                        self._syncs.start(name, result.source)
            try:
                await asyncio.wait_for(self._woken.wait(), self._entry.watch_every.total_seconds())
            except TimeoutError:
                continue

    async def _look(self) -> WatchRound:
        name = self._entry.name
        entries = await look_at(self._settings, (name,))
        for warning in entries.warnings:
            self._say(f"{name}: {warning}")
        for error in entries.errors:
            self._say(f"{name}: {error.message} ({error.reason.value})")
        changed = {
            mirror: one
            for mirror, one in entries.to_look_at.mirrors.items()
            if mirror.startswith(f"{name}/")
        }
        found = await watch_sources(
            self._settings.model_copy(update={"mirrors": changed}),
            self._recorder,
            partial(open_clients, self._settings, secrets=load_secret),
        )
        return await keep_looked(entries, found)
