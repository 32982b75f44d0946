"""Which repositories an entry for many repositories mirrors, as last listed by its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from mirror.config import Settings
from mirror.history.database import create_engine, reachable

if TYPE_CHECKING:  # a status needs no registry client
    from mirror.sync import KnownRepository, RepositoryLook

_READ = sa.text("""
    SELECT entry, name, missing_since, gone_at, updated_at FROM entry_repository
    WHERE entry = ANY(:entries) ORDER BY entry, name
""")
_SEEN = sa.text("""
    INSERT INTO entry_repository AS known (entry, name, first_seen_at, seen_at)
    SELECT :entry, name, :at, :at FROM unnest(CAST(:names AS text[])) AS name
    ON CONFLICT (entry, name) DO UPDATE
    SET seen_at = excluded.seen_at, missing_since = NULL, gone_at = NULL
""")
_MISSING = sa.text("""
    UPDATE entry_repository SET missing_since = coalesce(missing_since, :at)
    WHERE entry = :entry AND name = ANY(CAST(:names AS text[]))
""")
_GONE = sa.text("""
    UPDATE entry_repository SET gone_at = :at
    WHERE entry = :entry AND name = ANY(CAST(:names AS text[])) AND gone_at IS NULL
""")
_LOOKED = sa.text("""
    UPDATE entry_repository SET updated_at = looked.at
    FROM unnest(CAST(:names AS text[]), CAST(:times AS timestamptz[])) AS looked (name, at)
    WHERE entry = :entry AND entry_repository.name = looked.name
""")

# The predicate is that of the index ix_tag_state_unsettled.
_DUE = sa.text("""
    SELECT mirror.name FROM mirror
    WHERE starts_with(mirror.name, CAST(:entry AS text) || '/') AND EXISTS (
        SELECT FROM tag_state
        WHERE mirror_id = mirror.id
          AND (copied_digest IS DISTINCT FROM source_digest OR attempts > 0 OR held
               OR gone_at IS NOT NULL)
          AND (copied_digest IS DISTINCT FROM source_digest OR attempts > 0)
          AND NOT held AND gone_at IS NULL
          AND (next_attempt_at IS NULL OR next_attempt_at <= :now))
""")
_LAST_AUDITS = sa.text("""
    SELECT mirror.name, max(audit_run.started_at) AS at
    FROM mirror LEFT JOIN audit_run ON mirror_id = mirror.id
    WHERE mirror.name = ANY(CAST(:names AS text[]))
      AND EXISTS (SELECT FROM tag_state WHERE tag_state.mirror_id = mirror.id)
    GROUP BY mirror.name
""")

Known = Mapping[str, Mapping[str, "KnownRepository"]]
"""Repositories by entry and name."""


class RepositoryRecorder:
    """Reads and writes the repositories of entries; one engine, opened and closed by the caller."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._url = engine.url.render_as_string(hide_password=False)

    def read(self, entries: tuple[str, ...]) -> Known:
        """What is known of the repositories of these entries. Raises DatabaseAway."""
        from mirror.sync import KnownRepository

        found: dict[str, dict[str, KnownRepository]] = {entry: {} for entry in entries}
        with reachable(self._url), self._engine.connect() as connection:
            for row in connection.execute(_READ, {"entries": list(entries)}):
                found[row.entry][row.name] = KnownRepository(
                    row.name, row.missing_since, row.gone_at, row.updated_at
                )
        return found

    def due(self, entry: str, now: datetime) -> set[str]:
        """The mirrors of an entry with a tag that is behind and may be tried.

        Raises DatabaseAway.
        """
        with reachable(self._url), self._engine.connect() as connection:
            return set(connection.scalars(_DUE, {"entry": entry, "now": now}))

    def write(self, look: RepositoryLook, at: datetime) -> None:
        """Keep what a list of an entry's repositories showed. Raises DatabaseAway."""
        with reachable(self._url), self._engine.begin() as connection:
            for statement, names in (
                (_SEEN, list(look.listed)),
                (_MISSING, list(look.missing)),
                (_GONE, list(look.gone)),
            ):
                if names:
                    connection.execute(statement, {"entry": look.entry, "names": names, "at": at})

    def looked(self, entry: str, updated: Mapping[str, datetime]) -> None:
        """Keep the last push of the repositories whose tags were looked at. Raises DatabaseAway."""
        names, times = list(updated), list(updated.values())
        with reachable(self._url), self._engine.begin() as connection:
            connection.execute(_LOOKED, {"entry": entry, "names": names, "times": times})


def with_repositories(settings: Settings, url: str) -> Settings:
    """The settings with the mirrors of each entry's known repositories.

    Nothing is read where there is no entry. Raises DatabaseAway, ConfigError for two mirrors with
    one target.
    """
    if not settings.entries:
        return settings
    engine = create_engine(url, read_only=True)
    try:
        known = RepositoryRecorder(engine).read(tuple(settings.entries))
    finally:
        engine.dispose()
    return settings.expanded(
        {
            entry: [name for name, one in repositories.items() if one.gone_at is None]
            for entry, repositories in known.items()
        }
    )


def read_last_audits(url: str, names: Sequence[str]) -> dict[str, datetime | None]:
    """When each of these mirrors was audited last, in UTC; those without any tag are left out.

    Raises DatabaseAway.
    """
    engine = create_engine(url, read_only=True)
    try:
        with reachable(url), engine.connect() as connection:
            found = connection.execute(_LAST_AUDITS, {"names": list(names)})
            return {row.name: row.at for row in found}
    finally:
        engine.dispose()
