"""Checks beside the sync: audit, probe, doctor, pull counts."""

from mirror.checks.aliyun_counts import AliyunAccount, CountUnknown
from mirror.checks.audit import Audited, AuditLook, audit
from mirror.checks.audit_report import AuditReport, AuditSides, open_paced
from mirror.checks.doctor import Diagnosis, Examined, examine
from mirror.checks.preflight import Level
from mirror.checks.probe_report import ProbeReport
from mirror.checks.probe_round import ProbePlan, Round, run_round
from mirror.checks.pull import Pull, choose_tag
from mirror.checks.pull_counts import pulls_of

__all__ = [
    "AliyunAccount",
    "AuditLook",
    "AuditReport",
    "AuditSides",
    "Audited",
    "CountUnknown",
    "Diagnosis",
    "Examined",
    "Level",
    "ProbePlan",
    "ProbeReport",
    "Pull",
    "Round",
    "audit",
    "choose_tag",
    "examine",
    "open_paced",
    "pulls_of",
    "run_round",
]
