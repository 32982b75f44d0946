"""The history of what the mirrors did: kept in PostgreSQL, written by flows, read by reports.

    url = database_url()  # starts the embedded PostgreSQL unless a server is configured
    prepare(url)          # migrates the embedded one, or raises that a server is behind
    async with PostgresRecorder.open(url) as recorder:
        run_id = await recorder.begin_run("hagicode-aliyun", Trigger.SCHEDULE, full=True)

Errors, all one line that says what happened, where, and what to do:

HistoryError (a mirror.errors.DatabaseError)
├── BadDatabaseUrl    MIRROR_DATABASE_URL is not a PostgreSQL address
├── DatabaseAway      the database does not answer, or refuses the login
├── EmbeddedFailed    the embedded PostgreSQL does not start or stop
├── BackupFailed      a backup can't be written or restored
├── SchemaBehind      the schema is older or newer than the program
├── MigrationBlocked  a migration waited for a lock in vain
├── UnknownMirror     a mirror that is not in the history
├── AlreadyRunning    another flow run does the same work
├── TargetLocked      another run is working on the same target
├── LockLost          a run lost its target's lock, so another one may have started
├── ReaderRefused     the configured user may do too much to run queries
└── QueryRefused      a query of `mirror sql` that the database refused
"""

import lazy_loader

# What the room offers is listed in __init__.pyi; each name is imported when it is first used.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
