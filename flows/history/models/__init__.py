"""The record's tables, by what they hold. Their history is migrations/, their meaning docs/."""

from flows.history.models.alerts import Alert, AlertDelivery
from flows.history.models.base import Base
from flows.history.models.credentials import CredentialEnd
from flows.history.models.measured import (
    AuditFinding,
    AuditRun,
    Probe,
    PullCount,
    QuotaReading,
)
from flows.history.models.mirrors import (
    BlobPresence,
    Mirror,
    RegistryAbility,
    Repository,
    TagState,
)
from flows.history.models.rollups import (
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
from flows.history.models.runs import SyncRun, TagSync, WatchRun

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
