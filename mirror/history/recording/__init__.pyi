from .hook_listener import listen_to_hooks as listen_to_hooks
from .recorder import PostgresRecorder as PostgresRecorder
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
from .waiting_tags import WaitingTag as WaitingTag
