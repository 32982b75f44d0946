from .address import (
    database_url as database_url,
    describe as describe,
    is_embedded as is_embedded,
    stop as stop,
)
from .alert_details import AlertDetails as AlertDetails
from .alert_texts import (
    REASONS as REASONS,
    SAYINGS as SAYINGS,
    Bilingual as Bilingual,
    filled as filled,
)
from .document import CSV_COLUMNS as CSV_COLUMNS, as_json as as_json, csv_rows as csv_rows
from .embedded import SUPERUSER as SUPERUSER, Cluster as Cluster, data_dir as data_dir
from .engine import create_engine as create_engine, reachable as reachable
from .errors import (
    BadDatabaseUrl as BadDatabaseUrl,
    DatabaseAway as DatabaseAway,
    EmbeddedFailed as EmbeddedFailed,
    LockLost as LockLost,
    QueryRefused as QueryRefused,
    SchemaBehind as SchemaBehind,
    TargetLocked as TargetLocked,
    UnknownMirror as UnknownMirror,
)
from .figures import (
    SUCCESS_GOAL as SUCCESS_GOAL,
    Day as Day,
    Delay as Delay,
    Failure as Failure,
    Goal as Goal,
    MirrorReport as MirrorReport,
    MirrorStatus as MirrorStatus,
    Pulls as Pulls,
    Quota as Quota,
    Report as Report,
    Run as Run,
    Runs as Runs,
    Tags as Tags,
)
from .maintain import Maintained as Maintained, maintain_history as maintain_history
from .migrate import upgrade as upgrade
from .mirror_rows import mirror_row as mirror_row
from .models.alerts import Alert as Alert, AlertDelivery as AlertDelivery
from .openmetrics import read_openmetrics as read_openmetrics
from .reader import ROLE as ROLE, open_reader as open_reader, psql as psql
from .recorder import Record as Record
from .reports import read_report as read_report, read_status as read_status
from .rows import (
    AuditOutcome as AuditOutcome,
    AuditWritten as AuditWritten,
    Finding as Finding,
    MirrorRow as MirrorRow,
    ProbePull as ProbePull,
    PullCounted as PullCounted,
    RetryRule as RetryRule,
    WatchLook as WatchLook,
)
from .schema import current as current, prepare as prepare
