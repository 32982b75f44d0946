"""Checks next to the sync: watch, audit, probe, doctor, pull counts."""

from mirror.checks.aliyun_counts import AliyunAccount, CountUnknown
from mirror.checks.audit import AuditRequest, AuditResult, audit
from mirror.checks.audit_report import AuditReport
from mirror.checks.audit_run import (
    REQUESTS_A_SECOND,
    SAMPLE,
    AuditClients,
    open_audit_clients,
    run_audit,
)
from mirror.checks.check_recorder import CheckRecorder
from mirror.checks.doctor import Diagnosis, Examination, examine
from mirror.checks.preflight import CheckLevel
from mirror.checks.probe_report import ProbeReport
from mirror.checks.probe_round import ProbePlan, ProbeRound, ProbeTask, pull_round
from mirror.checks.probe_run import run_probe
from mirror.checks.pull import PLATFORM, Pull
from mirror.checks.rate_limit import RateLimiter
from mirror.checks.watch import (
    WatchReport,
    WatchResult,
    WatchRound,
    WatchTask,
    watch_source,
    watch_sources,
)

__all__ = [
    "PLATFORM",
    "REQUESTS_A_SECOND",
    "SAMPLE",
    "AliyunAccount",
    "AuditClients",
    "AuditReport",
    "AuditRequest",
    "AuditResult",
    "CheckLevel",
    "CheckRecorder",
    "CountUnknown",
    "Diagnosis",
    "Examination",
    "ProbePlan",
    "ProbeReport",
    "ProbeRound",
    "ProbeTask",
    "Pull",
    "RateLimiter",
    "WatchReport",
    "WatchResult",
    "WatchRound",
    "WatchTask",
    "audit",
    "examine",
    "open_audit_clients",
    "pull_round",
    "run_audit",
    "run_probe",
    "watch_source",
    "watch_sources",
]
