"""Errors of the history; the tree is drawn in mirror/history/__init__.py."""

from __future__ import annotations

from mirror.errors import DatabaseError


class HistoryError(DatabaseError):
    """Any error of the history."""


class DatabaseAway(HistoryError):
    """The database does not answer, or refuses the login."""


class BadDatabaseUrl(HistoryError):
    """MIRROR_DATABASE_URL is not the address of a PostgreSQL database."""

    exit_code = 2


class EmbeddedFailed(HistoryError):
    """The embedded PostgreSQL does not start or stop, or does not fit its data."""


class BackupFailed(HistoryError):
    """A backup can't be written or restored."""


class SchemaBehind(HistoryError):
    """The history's schema is older or newer than this program."""


class MigrationBlocked(HistoryError):
    """A migration waited for a lock in vain, or took too long; nothing of it was applied."""

    def __init__(self, where: str, said: str) -> None:
        super().__init__(
            f"the database {where} could not be migrated: {said}; something holds a table for long"
            " (see pg_stat_activity, or another `mirror migrate`): end it and run `mirror migrate`"
            " again"
        )


class UnknownMirror(HistoryError):
    """A mirror that is not in the history."""

    exit_code = 2

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the history has no mirror named {name!r}; sync it once, or check the name"
        )
        self.name = name


class TargetLocked(HistoryError):
    """Another run is working on the same target repository. `holder`: who, for people."""

    def __init__(self, target: str, holder: object | None) -> None:
        super().__init__(
            f"{target}: another run is syncing this target{f' ({holder})' if holder else ''}; wait"
            " until it ends and try again"
        )
        self.target = target
        self.holder = holder


class AlreadyRunning(HistoryError):
    """Another flow run does the same work."""

    def __init__(self, work: str) -> None:
        super().__init__(f"{work}: another run is at work; nothing to do here")
        self.work = work


class LockLost(HistoryError):
    """The lock of a target, or a turn at a registry, is lost: another run may have started."""

    def __init__(self, target: str) -> None:
        super().__init__(
            f"{target}: this run lost its lock, since its database session ended or it was silent"
            " for too long; it stops so that two never work where only one may; the next run"
            " continues"
        )
        self.target = target


class ReaderRefused(HistoryError):
    """The configured user may do too much to run queries that came from anywhere."""

    exit_code = 2

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"{variable} logs in as a user with rights on the whole server, which a query could"
            " use: set MIRROR_DATABASE_READER_URL to the login of a role that can only read, such"
            " as mirror_readonly, or run `mirror migrate`, which creates one for `mirror sql`"
        )


class QueryRefused(HistoryError):
    """A query of `mirror sql` that the database refused."""

    exit_code = 2

    def __init__(self, said: str) -> None:
        super().__init__(f"the database refuses this query: {said}")
