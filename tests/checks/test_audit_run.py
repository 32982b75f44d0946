"""An audit of a mirror: what is reported, recorded and handed over. No Prefect, no database."""

from __future__ import annotations

import pytest

from mirror.checks.audit import AuditRequest, AuditResult
from mirror.checks.audit_report import AuditReport
from mirror.checks.audit_run import open_audit_clients, run_audit
from mirror.checks.rate_limit import RateLimiter
from mirror.outcome import Reason
from tests.checks.memory_recorder import MemoryRecorder
from tests.checks.pairs import Pair
from tests.checks.settings import settings
from tests.support.registry_process import DockerRegistry


@pytest.fixture
def pair(shared_docker_registry: DockerRegistry, request: pytest.FixtureRequest) -> Pair:
    return Pair(shared_docker_registry, request.node.name.removeprefix("test_"))


async def audited(pair: Pair, recorder: MemoryRecorder, host: str | None = None) -> AuditReport:
    host = host or pair.registry.host
    config = settings({"m": (f"{host}/{pair.source}", f"{host}/{pair.target}")})
    mirror = config.mirror("m")
    async with open_audit_clients(config, mirror, RateLimiter(500), lambda name: "") as clients:
        return await run_audit(mirror, recorder, clients)


async def test_a_mirror_in_sync_is_recorded_with_what_was_checked(pair: Pair) -> None:
    recorder = MemoryRecorder({"m": await pair.mirror({"0.1.0": pair.one, "0.2.0": pair.two})})
    report = await audited(pair, recorder)
    (recorded,) = recorder.audits
    assert (report.status, report.well, report.handed_over) == ("in_sync", True, ())
    assert (report.mirror, report.audit_id, report.tags) == ("m", "audit-1", 2)
    assert recorded.findings == ()
    assert recorded.requests == report.requests.source + report.requests.target > 0
    assert (recorded.blobs_checked, recorded.blobs_hashed, recorded.bytes_hashed) == (
        report.blobs_checked,
        report.blobs_hashed,
        report.bytes_hashed,
    )
    assert len(recorded.sound) == report.blobs_hashed > 0
    assert (recorded.started_at, recorded.ended_at) == (report.started_at, report.ended_at)


async def test_what_differs_is_recorded_with_its_repair_and_handed_over(pair: Pair) -> None:
    recorder = MemoryRecorder({"m": await pair.mirror({"0.1.0": pair.one, "0.2.0": pair.two})})
    await pair.overwrite("0.2.0", pair.other)
    await pair.overwrite("strange", pair.other)
    report = await audited(pair, recorder)
    assert (report.status, report.well) == ("differs", False)
    assert report.handed_over == ("0.2.0",)
    (recorded,) = recorder.audits
    assert [(found.tag, found.kind, found.repair) for found in recorded.findings] == [
        ("0.2.0", "wrong_digest", "drifted"),
        ("strange", "extra_tag", None),
    ]
    assert [found.message for found in recorded.findings] == [
        found.message for found in report.findings
    ]


async def test_a_registry_that_is_away_is_the_audits_failure_and_recorded(pair: Pair) -> None:
    recorder = MemoryRecorder()
    report = await audited(pair, recorder, host="127.0.0.1:9")
    assert (report.status, report.findings, report.tags) == ("failed", (), 0)
    assert report.failure is not None
    assert report.failure.reason is Reason.NETWORK
    assert recorder.audits[0].failure == report.failure


async def test_a_deep_audit_hashes_every_blob_and_another_one_a_sample(pair: Pair) -> None:
    host = pair.registry.host
    config = settings(
        {"m": (f"{host}/{pair.source}", f"{host}/{pair.target}")},
        tags={"m": {"exclude": ["nightly"]}},
    )
    requests: list[AuditRequest] = []

    async def step(request: AuditRequest) -> AuditResult:
        requests.append(request)
        return AuditResult(3, ())

    mirror, recorder = config.mirror("m"), MemoryRecorder()
    async with open_audit_clients(config, mirror, RateLimiter(500), lambda name: "") as clients:
        reports = [
            await run_audit(mirror, recorder, clients, deep=deep, sample=7, step=step)
            for deep in (False, True)
        ]
    assert [request.sample for request in requests] == [7, None]
    assert [(report.deep, report.tags) for report in reports] == [(False, 3), (True, 3)]
    assert requests[0].rules.exclude == ("nightly",)
    assert (requests[0].source.name, requests[0].target.name) == (pair.source, pair.target)
