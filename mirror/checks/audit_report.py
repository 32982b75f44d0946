"""One audit of one mirror, as the flow runs it and commands print it. No Prefect here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from mirror.checks.audit_finding import Finding
from mirror.checks.rate_limit import Turns, TurnsTransport
from mirror.config import MirrorSettings, SecretLoader, Settings, endpoint
from mirror.outcome import Requests, TagFailure
from mirror.registry import Concurrency, Reference, Registry, Repository, Transport

# Requests that wait for their turn are under the registry client's time limit already, so no more
# may wait than get their turn in a few seconds.
_WAIT_SECONDS = 5


@dataclass(frozen=True)
class AuditReport:
    """How an audit ended: what `mirror audit --json` prints for one mirror."""

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
    findings: tuple[Finding, ...] = ()
    handed_over: tuple[str, ...] = ()  # tags that the next sync will repair
    failure: TagFailure | None = None

    @property
    def status(self) -> Literal["in_sync", "differs", "failed"]:
        """The audit's answer in a word."""
        if self.failure is not None:
            return "failed"
        return "differs" if self.findings else "in_sync"

    @property
    def well(self) -> bool:
        """True if the audit was finished and nothing differs."""
        return self.status == "in_sync"


@dataclass(frozen=True)
class AuditSides:
    """The two repositories of a mirror, on connections that keep the pace."""

    source: Repository
    target: Repository

    @property
    def requests(self) -> Requests:
        """HTTP requests sent so far."""
        return Requests(self.source.registry.requests, self.target.registry.requests)


@asynccontextmanager
async def open_paced(
    settings: Settings, mirror: MirrorSettings, rate: float, secrets: SecretLoader
) -> AsyncIterator[AuditSides]:
    """Clients for both sides that together send at most `rate` requests a second."""
    turns = Turns(rate)
    at_once = max(1, min(32, int(rate * _WAIT_SECONDS)))
    concurrency = Concurrency(requests=at_once, most_requests=at_once, least=1)
    async with AsyncExitStack() as stack:
        sides = []
        for name in (mirror.source, mirror.target):
            reference = Reference.parse(name)
            reached = endpoint(settings, reference.registry, secrets)
            transport = TurnsTransport(Transport(None, reached.ca_file), turns)
            registry = Registry(reached, transport=transport, concurrency=concurrency)
            opened = await stack.enter_async_context(registry)
            sides.append(opened.repository(reference.repository))
        yield AuditSides(*sides)
