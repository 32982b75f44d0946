"""The record of what the mirrors did: kept in PostgreSQL, written by flows, read by reports.

    url = database_url()                    # starts the embedded PostgreSQL if there is no other
    prepare(url)                            # migrates it, or says that a server is behind
    async with Record.open(url) as record:  # writing
        run_id = await record.begin_run("hagicode-aliyun", Trigger.SCHEDULE, full=True)

Errors, all one line that says what happened, where, and what to do:

HistoryError (a mirror.errors.DatabaseError)
├── BadDatabaseUrl    MIRROR_DATABASE_URL is no PostgreSQL address
├── DatabaseAway      the database does not answer, or refuses the login
├── EmbeddedFailed    the embedded PostgreSQL does not start or stop
├── SchemaBehind      the schema is older or newer than the program
├── UnknownMirror     a mirror that the record has never heard of
├── TargetLocked      another run works on the same target
├── LockLost          the lock's connection died, so another run may have begun
└── QueryRefused   a query of `mirror sql` that the database refused
"""

from mirror.history.address import database_url, ensure_database, is_embedded, stop
from mirror.history.embedded import data_dir
from mirror.history.errors import (
    BadDatabaseUrl,
    DatabaseAway,
    EmbeddedFailed,
    HistoryError,
    LockLost,
    QueryRefused,
    SchemaBehind,
    TargetLocked,
    UnknownMirror,
)
from mirror.history.lock import TargetLock
from mirror.history.recorder import Record
from mirror.history.rows import (
    AuditOutcome,
    AuditWritten,
    Finding,
    MirrorRow,
    ProbePull,
    PullCounted,
    RetryRule,
    WatchLook,
)
from mirror.history.schema import prepare

__all__ = [
    "AuditOutcome",
    "AuditWritten",
    "BadDatabaseUrl",
    "DatabaseAway",
    "EmbeddedFailed",
    "Finding",
    "HistoryError",
    "LockLost",
    "MirrorRow",
    "ProbePull",
    "PullCounted",
    "QueryRefused",
    "Record",
    "RetryRule",
    "SchemaBehind",
    "TargetLock",
    "TargetLocked",
    "UnknownMirror",
    "WatchLook",
    "data_dir",
    "database_url",
    "ensure_database",
    "is_embedded",
    "prepare",
    "stop",
]
