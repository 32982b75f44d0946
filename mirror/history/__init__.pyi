from .alert_details import AlertDetails as AlertDetails
from .alert_texts import (
    CONSEQUENCES as CONSEQUENCES,
    REASONS as REASONS,
    SAYINGS as SAYINGS,
    Bilingual as Bilingual,
    filled as filled,
)
from .database import (
    PREFECT_URL as PREFECT_URL,
    ROLE as ROLE,
    SUPERUSER as SUPERUSER,
    AlreadyRunning as AlreadyRunning,
    BackupFailed as BackupFailed,
    BadDatabaseUrl as BadDatabaseUrl,
    Cluster as Cluster,
    DatabaseAway as DatabaseAway,
    EmbeddedFailed as EmbeddedFailed,
    HistoryPool as HistoryPool,
    LockLost as LockLost,
    QueryRefused as QueryRefused,
    ReaderRefused as ReaderRefused,
    SchemaBehind as SchemaBehind,
    TargetLocked as TargetLocked,
    UnknownMirror as UnknownMirror,
    back_up as back_up,
    create_engine as create_engine,
    current_revision as current_revision,
    cut_connection as cut_connection,
    data_dir as data_dir,
    database_url as database_url,
    describe as describe,
    embedded_url as embedded_url,
    is_embedded as is_embedded,
    make_private_folder as make_private_folder,
    owner_url as owner_url,
    prefect_database_url as prefect_database_url,
    prepare as prepare,
    reachable as reachable,
    restore as restore,
    set_passwords as set_passwords,
    stop as stop,
    upgrade as upgrade,
)
from .document import CSV_COLUMNS as CSV_COLUMNS, as_json as as_json, csv_rows as csv_rows
from .figures import (
    SPEED_GOAL as SPEED_GOAL,
    SUCCESS_GOAL as SUCCESS_GOAL,
    DayStats as DayStats,
    DelayStats as DelayStats,
    FailureStats as FailureStats,
    Goal as Goal,
    MirrorReport as MirrorReport,
    MirrorStatus as MirrorStatus,
    PullStats as PullStats,
    QuotaStats as QuotaStats,
    Report as Report,
    Runs as Runs,
    RunSummary as RunSummary,
    Tags as Tags,
)
from .locks import (
    LivingRuns as LivingRuns,
    LockHolder as LockHolder,
    as_living_run as as_living_run,
    close_dead_runs as close_dead_runs,
    end_holder as end_holder,
    end_session as end_session,
    find_living_runs as find_living_runs,
    find_living_runs_with as find_living_runs_with,
    open_connection as open_connection,
    read_holder as read_holder,
)
from .maintain import Maintained as Maintained, maintain_history as maintain_history
from .models.alerts import AlertDeliveryRecord as AlertDeliveryRecord, AlertRecord as AlertRecord
from .openmetrics import read_openmetrics as read_openmetrics
from .reader import open_reader as open_reader, psql as psql
from .recording import (
    AuditOutcome as AuditOutcome,
    AuditWritten as AuditWritten,
    FindingRow as FindingRow,
    MirrorRow as MirrorRow,
    PostgresRecorder as PostgresRecorder,
    ProbePull as ProbePull,
    PullCounted as PullCounted,
    WaitingTag as WaitingTag,
    WatchKey as WatchKey,
    WatchRow as WatchRow,
    listen_to_hooks as listen_to_hooks,
    mirror_row as mirror_row,
)
from .reports import (
    Part as Part,
    read_days as read_days,
    read_report as read_report,
    read_status as read_status,
)
from .repositories import (
    RepositoryRecorder as RepositoryRecorder,
    read_last_audits as read_last_audits,
    with_repositories as with_repositories,
)
from .schedules import (
    LATE_SCHEDULES as LATE_SCHEDULES,
    LateSchedule as LateSchedule,
    read_late_schedules as read_late_schedules,
)
