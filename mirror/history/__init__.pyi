from .address import (
    database_url as database_url,
    describe as describe,
    embedded_url as embedded_url,
    is_embedded as is_embedded,
    owner_url as owner_url,
    stop as stop,
)
from .alert_details import AlertDetails as AlertDetails
from .alert_texts import (
    CONSEQUENCES as CONSEQUENCES,
    REASONS as REASONS,
    SAYINGS as SAYINGS,
    Bilingual as Bilingual,
    filled as filled,
)
from .backup import (
    PREFECT_URL as PREFECT_URL,
    back_up as back_up,
    prefect_database_url as prefect_database_url,
    restore as restore,
)
from .dead_runs import close_dead_runs as close_dead_runs
from .document import CSV_COLUMNS as CSV_COLUMNS, as_json as as_json, csv_rows as csv_rows
from .embedded import SUPERUSER as SUPERUSER, Cluster as Cluster, data_dir as data_dir
from .engine import create_engine as create_engine, reachable as reachable
from .errors import (
    AlreadyRunning as AlreadyRunning,
    BackupFailed as BackupFailed,
    BadDatabaseUrl as BadDatabaseUrl,
    DatabaseAway as DatabaseAway,
    EmbeddedFailed as EmbeddedFailed,
    LockLost as LockLost,
    QueryRefused as QueryRefused,
    ReaderRefused as ReaderRefused,
    SchemaBehind as SchemaBehind,
    TargetLocked as TargetLocked,
    UnknownMirror as UnknownMirror,
)
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
from .hook_listener import listen_to_hooks as listen_to_hooks
from .living_runs import (
    LivingRuns as LivingRuns,
    as_living_run as as_living_run,
    end_session as end_session,
    find_living_runs as find_living_runs,
)
from .lock_holder import (
    LockHolder as LockHolder,
    end_holder as end_holder,
    open_connection as open_connection,
    read_holder as read_holder,
)
from .maintain import Maintained as Maintained, maintain_history as maintain_history
from .migrate import upgrade as upgrade
from .models.alerts import AlertDeliveryRecord as AlertDeliveryRecord, AlertRecord as AlertRecord
from .openmetrics import read_openmetrics as read_openmetrics
from .postgres_programs import make_private_folder as make_private_folder
from .reader import open_reader as open_reader, psql as psql
from .recorder import PostgresRecorder as PostgresRecorder
from .reports import read_report as read_report, read_status as read_status
from .repositories import (
    RepositoryRecorder as RepositoryRecorder,
    with_repositories as with_repositories,
)
from .revision import current_revision as current_revision
from .roles import ROLE as ROLE, set_passwords as set_passwords
from .rows import (
    AuditOutcome as AuditOutcome,
    AuditWritten as AuditWritten,
    FindingRow as FindingRow,
    MirrorRow as MirrorRow,
    ProbePull as ProbePull,
    PullCounted as PullCounted,
    WatchKey as WatchKey,
    WatchRow as WatchRow,
    mirror_row as mirror_row,
)
from .schedules import (
    LATE_SCHEDULES as LATE_SCHEDULES,
    LateSchedule as LateSchedule,
    read_late_schedules as read_late_schedules,
)
from .schema import prepare as prepare
