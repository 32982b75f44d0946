"""The record's tables, by what they hold. Their history is migrations/, their meaning docs/."""

from mirror.history.models.alerts import Alert, AlertDelivery
from mirror.history.models.base import Base
from mirror.history.models.credentials import CredentialEnd
from mirror.history.models.measured import (
    AuditFinding,
    AuditRun,
    Probe,
    PullCount,
    QuotaReading,
)
from mirror.history.models.mirrors import (
    BlobPresence,
    Mirror,
    RegistryAbility,
    Repository,
    TagState,
)
from mirror.history.models.rollups import (
    Closed,
    DailyDelay,
    DailyFailure,
    DailyProbe,
    DailyQuota,
    DailyRun,
    DailyTag,
    DailyWatch,
    MonthlyDelay,
    TagPast,
)
from mirror.history.models.runs import SyncRun, TagSync, WatchRun

__all__ = [
    "Alert",
    "AlertDelivery",
    "AuditFinding",
    "AuditRun",
    "Base",
    "BlobPresence",
    "Closed",
    "CredentialEnd",
    "DailyDelay",
    "DailyFailure",
    "DailyProbe",
    "DailyQuota",
    "DailyRun",
    "DailyTag",
    "DailyWatch",
    "Mirror",
    "MonthlyDelay",
    "Probe",
    "PullCount",
    "QuotaReading",
    "RegistryAbility",
    "Repository",
    "SyncRun",
    "TagPast",
    "TagState",
    "TagSync",
    "WatchRun",
]
