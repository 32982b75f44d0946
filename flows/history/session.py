"""What the parts of the recorder share: connections, ids by name, months that have partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from flows.history.engine import reachable
from flows.history.errors import HistoryError, UnknownMirror
from flows.history.lock import TargetLock
from flows.history.rows import split_repository
from flows.outcome import KnownTag

_MIRROR = sa.text("""
    SELECT mirror.id, target_id, followed_since, registry || '/' || repository.name AS target
    FROM mirror JOIN repository ON repository.id = target_id
    WHERE mirror.name = :name
""")
_REPOSITORY = sa.text("""
    INSERT INTO repository (registry, name) VALUES (:registry, :name)
    ON CONFLICT (registry, name) DO UPDATE SET name = excluded.name
    RETURNING id
""")
_STARTED_AT = sa.text("SELECT started_at FROM sync_run WHERE id = :id")
_PARTITIONS = sa.text("SELECT make_partitions(:first, :last)")


@dataclass(frozen=True, slots=True)
class MirrorRef:
    """What the recorder needs of a mirror at every turn."""

    id: int
    target_id: int
    target: str
    followed_since: datetime


@dataclass(slots=True, weakref_slot=True)
class Session:
    """Connections to the record and what was learnt over them. Statements commit one by one."""

    url: str
    engine: AsyncEngine
    locks: dict[str, TargetLock] = field(default_factory=dict)
    mirrors: dict[str, MirrorRef] = field(default_factory=dict)
    repositories: dict[tuple[str, str], int] = field(default_factory=dict)
    runs: dict[UUID, datetime] = field(default_factory=dict)
    known: dict[str, dict[str, KnownTag]] = field(default_factory=dict)
    months: set[tuple[int, int]] = field(default_factory=set)

    async def rows(
        self, statement: sa.TextClause, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """Run one statement that returns rows. Raises DatabaseAway."""
        with reachable(self.url):
            async with self.engine.connect() as connection:
                return (await connection.execute(statement, values)).all()

    async def run(
        self, statement: sa.TextClause, values: Mapping[str, Any] | list[dict[str, Any]]
    ) -> None:
        """Run one statement, once or for each of a list of values. Raises DatabaseAway."""
        with reachable(self.url):
            async with self.engine.connect() as connection:
                await connection.execute(statement, values)

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
        """The id of a repository, made known if it was not."""
        key = (registry, name)
        if (found := self.repositories.get(key)) is None:
            rows = await self.rows(_REPOSITORY, {"registry": registry, "name": name})
            found = self.repositories[key] = rows[0].id
        return found

    async def repository_named(self, name: str) -> int:
        """The id of `host[:port]/path`."""
        return await self.repository(*split_repository(name))

    async def partitions(self, at: datetime) -> None:
        """Make sure that rows of that moment have a partition; asks once a month and process."""
        month = (at.year, at.month)
        if month not in self.months:
            await self.rows(_PARTITIONS, {"first": at, "last": at + timedelta(days=7)})
            self.months.add(month)

    async def started_at(self, run_id: str) -> datetime:
        """When a run began: the other half of its key. Raises HistoryError for an unknown run."""
        run = UUID(run_id)
        if (found := self.runs.get(run)) is None:
            rows = await self.rows(_STARTED_AT, {"id": run})
            if not rows:
                raise HistoryError(f"the record has no run {run_id}; begin_run comes first")
            found = self.runs[run] = rows[0].started_at
        return found
