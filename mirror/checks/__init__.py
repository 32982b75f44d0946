"""Checks beside the sync: audit, probe, doctor, pull counts."""

from mirror.checks.aliyun_counts import AliyunAccount, CountUnknown
from mirror.checks.audit import AuditRequest, AuditResult, audit
from mirror.checks.audit_report import AuditClients, AuditReport, open_audit_clients
from mirror.checks.doctor import Diagnosis, Examination, examine
from mirror.checks.preflight import CheckLevel
from mirror.checks.probe_report import ProbeReport
from mirror.checks.probe_round import ProbePlan, ProbeRound, run_round
from mirror.checks.pull import Pull, choose_tag
from mirror.checks.pull_counts import pulls_of

__all__ = [
    "AliyunAccount",
    "AuditClients",
    "AuditReport",
    "AuditRequest",
    "AuditResult",
    "CheckLevel",
    "CountUnknown",
    "Diagnosis",
    "Examination",
    "ProbePlan",
    "ProbeReport",
    "ProbeRound",
    "Pull",
    "audit",
    "choose_tag",
    "examine",
    "open_audit_clients",
    "pulls_of",
    "run_round",
]
