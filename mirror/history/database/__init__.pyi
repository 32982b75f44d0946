from .address import (
    NETWORK as NETWORK,
    OPTIONS as OPTIONS,
    READ_ONLY as READ_ONLY,
    answering as answering,
    conninfo as conninfo,
    database_url as database_url,
    describe as describe,
    embedded_url as embedded_url,
    is_embedded as is_embedded,
    one_line as one_line,
    owner_url as owner_url,
    parameters as parameters,
    stop as stop,
)
from .backup import (
    PREFECT_URL as PREFECT_URL,
    back_up as back_up,
    prefect_database_url as prefect_database_url,
    restore as restore,
)
from .connecting import connect as connect, cut_connection as cut_connection
from .connections import (
    CONNECTIONS as CONNECTIONS,
    Connections as Connections,
    HistoryPool as HistoryPool,
    Row as Row,
)
from .embedded import SUPERUSER as SUPERUSER, Cluster as Cluster, data_dir as data_dir
from .engine import create_engine as create_engine, reachable as reachable
from .errors import (
    AlreadyRunning as AlreadyRunning,
    BackupFailed as BackupFailed,
    BadDatabaseUrl as BadDatabaseUrl,
    DatabaseAway as DatabaseAway,
    EmbeddedFailed as EmbeddedFailed,
    HistoryError as HistoryError,
    LockLost as LockLost,
    QueryRefused as QueryRefused,
    ReaderRefused as ReaderRefused,
    SchemaBehind as SchemaBehind,
    TargetLocked as TargetLocked,
    UnknownMirror as UnknownMirror,
)
from .migrate import upgrade as upgrade
from .postgres_programs import (
    major_version as major_version,
    make_private_folder as make_private_folder,
    programs as programs,
)
from .revision import current_revision as current_revision
from .roles import (
    ROLE as ROLE,
    SQL_LOGIN as SQL_LOGIN,
    set_password as set_password,
    set_passwords as set_passwords,
)
from .schema import prepare as prepare
