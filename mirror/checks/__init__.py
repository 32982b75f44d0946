"""Checks next to the sync: watch, audit, probe, doctor, pull counts."""

from mirror.checks.aliyun_counts import AliyunAccount
from mirror.checks.audit import AuditResult, audit
from mirror.checks.audit_report import AuditReport
from mirror.checks.audit_run import (
    REQUESTS_A_SECOND,
    SAMPLE,
    open_audit_clients,
    run_audit,
)
from mirror.checks.by_source import by_source
from mirror.checks.doctor import Diagnosis, Examination, examine
from mirror.checks.entries import EntriesLook, look_at_entries
from mirror.checks.live_watch import LiveWatch, Look
from mirror.checks.preflight import CheckLevel
from mirror.checks.probe_report import ProbeReport
from mirror.checks.probe_round import ProbePlan, ProbeRound, pull_round
from mirror.checks.probe_run import run_probe, sampled
from mirror.checks.pull import PLATFORM, Pull
from mirror.checks.push_events import (
    KINDS,
    NotAReport,
    PushEvent,
    is_signed,
    read_report,
    sources_of,
)
from mirror.checks.rate_limit import RateLimiter
from mirror.checks.returns import Returns, both_answer
from mirror.checks.sync_starter import SyncEnd, SyncStarter
from mirror.checks.watch import (
    WatchReport,
    WatchResult,
    WatchRound,
    WatchTask,
    watch_source,
    watch_sources,
)
from mirror.checks.watch_rows import WatchRows

__all__ = [
    "KINDS",
    "PLATFORM",
    "REQUESTS_A_SECOND",
    "SAMPLE",
    "AliyunAccount",
    "AuditReport",
    "AuditResult",
    "CheckLevel",
    "Diagnosis",
    "EntriesLook",
    "Examination",
    "LiveWatch",
    "Look",
    "NotAReport",
    "ProbePlan",
    "ProbeReport",
    "ProbeRound",
    "Pull",
    "PushEvent",
    "RateLimiter",
    "Returns",
    "SyncEnd",
    "SyncStarter",
    "WatchReport",
    "WatchResult",
    "WatchRound",
    "WatchRows",
    "WatchTask",
    "audit",
    "both_answer",
    "by_source",
    "examine",
    "is_signed",
    "look_at_entries",
    "open_audit_clients",
    "pull_round",
    "read_report",
    "run_audit",
    "run_probe",
    "sampled",
    "sources_of",
    "watch_source",
    "watch_sources",
]
