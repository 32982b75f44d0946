"""Shared by the parts of the recorder: connections, ids by name, months that have partitions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from mirror.history.database import (
    Connections,
    HistoryError,
    LockLost,
    Row,
    UnknownMirror,
    answering,
)
from mirror.history.locks import TargetLock
from mirror.history.recording.rows import split_repository
from mirror.history.recording.storable import storable
from mirror.outcome import KnownTag

_MIRROR = """
    SELECT mirror.id, target_id, followed_since, registry || '/' || repository.name AS target
    FROM mirror JOIN repository ON repository.id = target_id
    WHERE mirror.name = %(name)s
"""
_REPOSITORY = """
    INSERT INTO repository (registry, name) VALUES (%(registry)s, %(name)s)
    ON CONFLICT (registry, name) DO UPDATE SET name = excluded.name
    RETURNING id
"""
_STARTED_AT = "SELECT started_at FROM sync_run WHERE id = %(id)s"
LOST = "MRLCK"  # SQLSTATE that the function `holds` raises
_PARTITIONS = "SELECT make_partitions(%(first)s, %(last)s)"


@dataclass(frozen=True, slots=True)
class MirrorRef:
    """What every statement about a mirror needs."""

    id: int
    target_id: int
    target: str
    followed_since: datetime


@dataclass(slots=True, weakref_slot=True)
class RecorderSession:
    """Connections to the history and a cache of its ids. Each statement commits by itself."""

    url: str
    connections: Connections
    locks: dict[str, TargetLock] = field(default_factory=dict)
    mirrors: dict[str, MirrorRef] = field(default_factory=dict)
    repositories: dict[tuple[str, str], int] = field(default_factory=dict)
    runs: dict[UUID, datetime] = field(default_factory=dict)
    known: dict[str, dict[str, KnownTag]] = field(default_factory=dict)
    months: set[tuple[int, int]] = field(default_factory=set)

    async def rows(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one statement that returns rows. Raises DatabaseAway, LockLost."""
        with answering(self.url), self._holding(values):
            async with self.connections.one() as connection:
                given = storable(values) if values else values
                return await (await connection.execute(statement, given)).fetchall()

    async def run(self, statement: str, values: Mapping[str, Any] | list[dict[str, Any]]) -> None:
        """Run one statement, once or for each of a list of values.

        Raises DatabaseAway, and LockLost if the values hold the token of a lock that is lost.
        """
        with answering(self.url), self._holding(values):
            async with self.connections.one() as connection, connection.cursor() as cursor:
                if isinstance(values, list):
                    await cursor.executemany(statement, [storable(each) for each in values])
                else:
                    await cursor.execute(statement, storable(values))

    def token(self, ref: MirrorRef) -> UUID | None:
        """What shows that this recorder holds the lock of the mirror's target; None: it has none.

        A statement gives it to the function `holds`, which refuses a token that is outdated.
        """
        lock = self.locks.get(ref.target)
        return lock.token if lock else None

    @contextmanager
    def _holding(self, values: Mapping[str, Any] | list[dict[str, Any]] | None) -> Iterator[None]:
        try:
            yield
        except psycopg.DatabaseError as error:
            if error.sqlstate != LOST or not isinstance(values, Mapping):
                raise
            held = {lock.token: target for target, lock in self.locks.items()}
            raise LockLost(held.get(values["token"], "the target")) from error

    async def mirror(self, name: str) -> MirrorRef:
        """A mirror by name. Raises UnknownMirror."""
        if (found := self.mirrors.get(name)) is None:
            rows = await self.rows(_MIRROR, {"name": name})
            if not rows:
                raise UnknownMirror(name)
            row = rows[0]
            found = MirrorRef(row.id, row.target_id, row.target, row.followed_since)
            self.mirrors[name] = found
        return found

    async def repository(self, registry: str, name: str) -> int:
        """The id of a repository, inserted if it is new."""
        key = (registry, name)
        if (found := self.repositories.get(key)) is None:
            rows = await self.rows(_REPOSITORY, {"registry": registry, "name": name})
            found = self.repositories[key] = rows[0].id
        return found

    async def repository_named(self, name: str) -> int:
        """The id of `host[:port]/path`."""
        return await self.repository(*split_repository(name))

    async def partitions(self, at: datetime) -> None:
        """Create the partitions for rows of that time if missing; once per month and process."""
        month = (at.year, at.month)
        if month not in self.months:
            await self.rows(_PARTITIONS, {"first": at, "last": at + timedelta(days=7)})
            self.months.add(month)

    async def started_at(self, run_id: str) -> datetime:
        """When a run started: the other half of its key. Raises HistoryError for an unknown run."""
        run = UUID(run_id)
        if (found := self.runs.get(run)) is None:
            rows = await self.rows(_STARTED_AT, {"id": run})
            if not rows:
                raise HistoryError(f"the history has no run {run_id}; call begin_run first")
            found = self.runs[run] = rows[0].started_at
        return found
