from .aliyun_counts import AliyunAccount as AliyunAccount, CountUnknown as CountUnknown
from .audit import Audited as Audited, AuditLook as AuditLook, audit as audit
from .audit_report import (
    AuditReport as AuditReport,
    AuditSides as AuditSides,
    open_paced as open_paced,
)
from .doctor import Diagnosis as Diagnosis, Examined as Examined, examine as examine
from .preflight import Level as Level
from .probe_report import ProbeReport as ProbeReport
from .probe_round import ProbePlan as ProbePlan, Round as Round, run_round as run_round
from .pull import Pull as Pull, choose_tag as choose_tag
from .pull_counts import pulls_of as pulls_of
