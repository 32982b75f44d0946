"""The recorder: writes what runs do to the history, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, Self

from mirror.history.database import (
    CONNECTIONS,
    Connections,
    HistoryPool,
    TargetLocked,
    answering,
    conninfo,
)
from mirror.history.locks import (
    HOLDER,
    LockHolder,
    TargetLock,
    is_silent,
    open_connection,
    read_holder,
)
from mirror.history.recording.measurement_recorder import MeasurementRecorder
from mirror.history.recording.rows import MirrorRow, split_repository
from mirror.history.recording.run_recorder import RunRecorder
from mirror.history.recording.tag_recorder import TagRecorder
from mirror.history.recording.waiting_tags import WaitingTagRecorder
from mirror.outcome import utcnow

_TURN_EVERY: Final = 1.0  # seconds between two looks for a free turn
_MIRROR = """
    WITH source AS (
        INSERT INTO repository (registry, name) VALUES (%(source_registry)s, %(source_name)s)
        ON CONFLICT (registry, name) DO UPDATE SET name = excluded.name RETURNING id
    ), target AS (
        INSERT INTO repository (registry, name) VALUES (%(target_registry)s, %(target_name)s)
        ON CONFLICT (registry, name) DO UPDATE SET name = excluded.name RETURNING id
    ), old AS (
        SELECT id, source_id, target_id FROM mirror WHERE name = %(name)s
    ), stale AS (
        -- Tags of another source or target say nothing about this one.
        DELETE FROM tag_state USING old, source, target
        WHERE mirror_id = old.id AND (source_id, target_id) <> (source.id, target.id)
    )
    INSERT INTO mirror (name, source_id, target_id, policy, every, watch_every, delay_goal,
                        created_at, followed_since)
    SELECT %(name)s, source.id, target.id, %(policy)s, %(every)s, %(watch_every)s, %(delay_goal)s,
        %(now)s, %(now)s
    FROM source, target
    ON CONFLICT (name) DO UPDATE SET
        source_id = excluded.source_id, target_id = excluded.target_id, policy = excluded.policy,
        every = excluded.every, watch_every = excluded.watch_every,
        delay_goal = excluded.delay_goal,
        followed_since = CASE
            WHEN (mirror.source_id, mirror.target_id, mirror.policy)
               = (excluded.source_id, excluded.target_id, excluded.policy)
            THEN mirror.followed_since ELSE excluded.followed_since END
"""
_AS_CONFIGURED = """
    SELECT EXISTS (SELECT FROM tag_state WHERE mirror_id = mirror.id) FROM mirror
    JOIN repository source ON source.id = source_id
    JOIN repository target ON target.id = target_id
    WHERE mirror.name = %(name)s
      AND (source.registry, source.name) = (%(source_registry)s, %(source_name)s)
      AND (target.registry, target.name) = (%(target_registry)s, %(target_name)s)
      AND policy = %(policy)s
      AND (every, watch_every, delay_goal) = (%(every)s, %(watch_every)s, %(delay_goal)s)
"""


class PostgresRecorder(RunRecorder, TagRecorder, WaitingTagRecorder, MeasurementRecorder):
    """The history, open for writing. One for a process and its event loop; tasks may share it.

    Every method raises DatabaseAway when the database does not answer.
    """

    __slots__ = ()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, connections: int = CONNECTIONS) -> AsyncIterator[Self]:
        """Open the history at a URL (mirror.history.database_url); closed on exit.

        `connections`: how many there may be at once, besides one for each lock.
        """
        async with HistoryPool.open(url, connections) as pool:
            yield cls.of(pool)

    @classmethod
    def of(cls, pool: HistoryPool) -> Self:
        """A recorder whose connections come from a pool that others use as well."""
        return cls(pool.url, Connections(pool))

    async def ensure_mirror(self, mirror: MirrorRow) -> bool:
        """Write a mirror as it is configured now, unless it is recorded like that already.

        Changing its source or target forgets its tags; its past is kept. False if no tag of it is
        known, or if they may have been forgotten just now.
        """
        source, target = split_repository(mirror.source), split_repository(mirror.target)
        values = {
            "name": mirror.name,
            "source_registry": source[0],
            "source_name": source[1],
            "target_registry": target[0],
            "target_name": target[1],
            "policy": mirror.policy,
            "every": mirror.every,
            "watch_every": mirror.watch_every,
            "delay_goal": mirror.delay_goal,
            "now": utcnow(),
        }
        if found := await self.rows(_AS_CONFIGURED, values):
            # As in nearly every run: nothing to write, no wait for the disk.
            return bool(found[0][0])
        await self.run(_MIRROR, values)
        self.mirrors.pop(mirror.name, None)
        self.known.pop(mirror.name, None)
        return False

    @asynccontextmanager
    async def target_lock(self, target: str) -> AsyncIterator[TargetLock]:
        """Hold the lock of a target (`host[:port]/path`): one run works on it at a time.

        A holder that has been silent for half a minute loses it. Raises TargetLocked, which names
        the holder. Call `check_lock` before each write to the target: it raises LockLost.
        """
        with answering(self.url):
            lock = await TargetLock.acquire(
                self.url, conninfo(self.url), target, self.connections.cut
            )
        if lock is None:
            raise TargetLocked(target, await asyncio.to_thread(self._holder, target))
        self.locks[target] = lock
        try:
            yield lock
        finally:
            self.locks.pop(target, None)
            await lock.release()

    @asynccontextmanager
    async def turn(
        self, registry: str, most: int, waiting: Callable[[], None]
    ) -> AsyncIterator[TargetLock]:
        """Hold one of the `most` turns at a registry, of all processes together.

        Waits until one is free; `waiting` is called once if none is. A turn is a lock like that of
        a target, so that of a dead holder is free at once, or after half a minute if its host is
        gone. Raises DatabaseAway.
        """
        names = [f"{registry}, sync {number}" for number in range(1, most + 1)]
        waits = False
        async with AsyncExitStack() as stack:
            while (lock := await self._free_turn(stack, names)) is None:
                if not waits:
                    waits = True
                    waiting()
                await asyncio.sleep(_TURN_EVERY)
            yield lock

    async def _free_turn(self, stack: AsyncExitStack, names: Sequence[str]) -> TargetLock | None:
        for name in names:
            if not await self.is_locked(name):
                with suppress(TargetLocked):  # another one was quicker
                    return await stack.enter_async_context(self.target_lock(name))
        return None

    async def is_locked(self, target: str) -> bool:
        """Whether a run holds the lock of a target and has been heard lately."""
        rows = await self.rows(HOLDER, {"target": target})
        return any(not is_silent(row.silence) for row in rows)

    async def check_lock(self, target: str) -> None:
        """Raise LockLost if this recorder took the lock of a target and it is held no more."""
        if lock := self.locks.get(target):
            await lock.check()

    def _holder(self, target: str) -> LockHolder | None:
        with open_connection(self.url) as connection:
            return read_holder(connection, target)
