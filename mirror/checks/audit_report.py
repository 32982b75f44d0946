"""How an audit ended, as the flow passes it on and commands print it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mirror.checks.audit_finding import AuditFinding
from mirror.outcome import Requests, TagFailure


@dataclass(frozen=True)
class AuditReport:
    """What `mirror audit --json` prints for one mirror."""

    mirror: str
    audit_id: str
    deep: bool
    started_at: datetime
    ended_at: datetime
    tags: int = 0
    blobs_checked: int = 0
    blobs_hashed: int = 0
    bytes_hashed: int = 0
    requests: Requests = field(default_factory=Requests)
    findings: tuple[AuditFinding, ...] = ()
    handed_over: tuple[str, ...] = ()  # tags that the next sync will repair
    failure: TagFailure | None = None

    @property
    def status(self) -> Literal["in_sync", "differs", "failed"]:
        """The audit's verdict in a word."""
        if self.failure is not None:
            return "failed"
        return "differs" if self.findings else "in_sync"

    @property
    def well(self) -> bool:
        """True if the audit was completed and nothing differs."""
        return self.status == "in_sync"
