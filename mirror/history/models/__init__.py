"""The tables of the history, by what they hold; migrations/ creates them, docs/ explains them."""

from mirror.history.models.alerts import AlertDeliveryRecord, AlertRecord
from mirror.history.models.base import Base
from mirror.history.models.credentials import CredentialEndRecord
from mirror.history.models.locks import SupportedProgramRecord, TargetLockRecord
from mirror.history.models.measured import (
    AuditFindingRecord,
    AuditRunRecord,
    ProbeRecord,
    PullCountRecord,
    QuotaReadingRecord,
)
from mirror.history.models.mirrors import (
    BlobPresenceRecord,
    EntryRepositoryRecord,
    MirrorRecord,
    RegistryAbilityRecord,
    RepositoryRecord,
    TagStateRecord,
)
from mirror.history.models.rollups import (
    ClosedRecord,
    CumulativeDelayRecord,
    DailyDelayRecord,
    DailyFailureRecord,
    DailyProbeRecord,
    DailyQuotaRecord,
    DailyRunRecord,
    DailyTagRecord,
    DailyWatchRecord,
    MonthlyRunRecord,
    MonthlyTagRecord,
    TagPastRecord,
)
from mirror.history.models.runs import HookEventRecord, SyncRunRecord, TagSyncRecord, WatchRunRecord

__all__ = [
    "AlertDeliveryRecord",
    "AlertRecord",
    "AuditFindingRecord",
    "AuditRunRecord",
    "Base",
    "BlobPresenceRecord",
    "ClosedRecord",
    "CredentialEndRecord",
    "CumulativeDelayRecord",
    "DailyDelayRecord",
    "DailyFailureRecord",
    "DailyProbeRecord",
    "DailyQuotaRecord",
    "DailyRunRecord",
    "DailyTagRecord",
    "DailyWatchRecord",
    "EntryRepositoryRecord",
    "HookEventRecord",
    "MirrorRecord",
    "MonthlyRunRecord",
    "MonthlyTagRecord",
    "ProbeRecord",
    "PullCountRecord",
    "QuotaReadingRecord",
    "RegistryAbilityRecord",
    "RepositoryRecord",
    "SupportedProgramRecord",
    "SyncRunRecord",
    "TagPastRecord",
    "TagStateRecord",
    "TagSyncRecord",
    "TargetLockRecord",
    "WatchRunRecord",
]
