"""One audit of one mirror: its registry clients, the audit itself, and what the history keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from mirror.checks.audit import AuditRequest, AuditResult, audit
from mirror.checks.audit_report import AuditReport
from mirror.checks.check_recorder import CheckRecorder
from mirror.checks.rate_limit import RateLimitedTransport, RateLimiter
from mirror.config import (
    CosignKey,
    MirrorSettings,
    SecretLoader,
    Settings,
    endpoint,
    load_cosign_keys,
)
from mirror.history import AuditOutcome, FindingRow, mirror_row
from mirror.outcome import Reason, Requests, TagFailure, utcnow
from mirror.registry import Concurrency, Reference, Registry, RegistryError, Repository, Transport
from mirror.sync import tag_rules_of

REQUESTS_A_SECOND = 10.0
SAMPLE = 10  # blobs fetched and hashed by an audit that is not deep

# Requests that wait for the rate limiter are under the registry client's time limit already, so
# no more may wait than get through in a few seconds.
_WAIT_SECONDS = 5


@dataclass(frozen=True)
class AuditClients:
    """The two repositories of a mirror, reached at a limited rate."""

    source: Repository
    target: Repository
    keys: tuple[CosignKey, ...] = ()
    """Of `verify`: one of them must have signed."""

    @property
    def requests(self) -> Requests:
        """HTTP requests sent so far."""
        return Requests(self.source.registry.requests, self.target.registry.requests)


@asynccontextmanager
async def open_audit_clients(
    settings: Settings, mirror: MirrorSettings, limiter: RateLimiter, secrets: SecretLoader
) -> AsyncIterator[AuditClients]:
    """Clients for both sides, which share the limiter. Raises CosignKeyError."""
    keys = await asyncio.to_thread(load_cosign_keys, settings.path, mirror)
    at_once = max(1, min(32, int(limiter.rate * _WAIT_SECONDS)))
    concurrency = Concurrency(requests=at_once, most_requests=at_once, least=1)
    async with AsyncExitStack() as stack:
        sides = []
        for name in (mirror.source, mirror.target):
            reference = Reference.parse(name)
            reached = endpoint(settings, reference.registry, secrets)
            transport = RateLimitedTransport(Transport(None, reached.ca_file), limiter)
            registry = Registry(reached, transport=transport, concurrency=concurrency)
            opened = await stack.enter_async_context(registry)
            sides.append(opened.repository(reference.repository))
        source, target = sides
        yield AuditClients(source, target, keys)


async def run_audit(
    mirror: MirrorSettings,
    recorder: CheckRecorder,
    clients: AuditClients,
    *,
    deep: bool = False,
    sample: int = SAMPLE,
    step: Callable[[AuditRequest], Awaitable[AuditResult]] = audit,
) -> AuditReport:
    """Audit a mirror and write the outcome to the history.

    `sample` blobs, or with `deep` all, are fetched and hashed. `step` runs the audit itself; a flow
    makes a task of it. A registry that cannot be read is the report's failure; raises DatabaseAway.
    """
    await recorder.ensure_mirror(mirror_row(mirror))
    started = utcnow()
    request = AuditRequest(
        clients.source,
        clients.target,
        tag_rules_of(mirror),
        await recorder.known_tags(mirror.name),
        None if deep else sample,
        clients.keys,
    )
    result, failure = AuditResult(0, ()), None
    try:
        result = await step(request)
    except RegistryError as error:
        failure = TagFailure(None, Reason(error.reason), str(error))
    requests, ended = clients.requests, utcnow()
    written = await recorder.add_audit(
        AuditOutcome(
            mirror=mirror.name,
            started_at=started,
            ended_at=ended,
            deep=deep,
            tags=result.tags,
            blobs_checked=result.blobs_checked,
            blobs_hashed=result.blobs_hashed,
            bytes_hashed=result.bytes_hashed,
            sound=result.sound,
            requests=requests.source + requests.target,
            findings=tuple(
                FindingRow(
                    found.tag, found.kind.value, found.message, found.digest, found.kind.repair
                )
                for found in result.findings
            ),
            failure=failure,
        )
    )
    return AuditReport(
        mirror=mirror.name,
        audit_id=written.audit_id,
        deep=deep,
        started_at=started,
        ended_at=ended,
        tags=result.tags,
        blobs_checked=result.blobs_checked,
        blobs_hashed=result.blobs_hashed,
        bytes_hashed=result.bytes_hashed,
        requests=requests,
        findings=result.findings,
        handed_over=written.handed_over,
        failure=failure,
    )
