"""What an audit finds is repaired by the next sync, although that one trusts the history."""

from __future__ import annotations

import json
from typing import Any

from flows.audit import audit
from flows.local.sample_registry.images import single
from flows.orchestration.states import outcome_of
from mirror.checks.audit_report import AuditReport
from mirror.outcome import Reason, RunStatus
from tests.flows.conftest import Mirrors, Pair, Rows
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.push import plain_client, push
from tests.support.snapshot import snapshot

IMAGE = multi_platform("audited", sizes=(3_000, 5_000))
LAYERS = [layer["digest"] for layer in json.loads(IMAGE.children[0].raw)["layers"]]


async def audited(**options: Any) -> AuditReport:
    state: Any = await audit(mirror="m", rate=500, return_state=True, **options)
    report = await outcome_of(state)
    assert isinstance(report, AuditReport), report
    return report


def kinds(report: AuditReport) -> list[tuple[str, str]]:
    return sorted((found.tag, found.kind.value) for found in report.findings)


async def delete(pair: Pair, digest: str, kind: str = "manifests") -> None:
    """Delete from the target by digest: a manifest, or one of its `blobs`."""
    async with plain_client() as client:
        answer = await client.delete(f"{pair.target_url}/v2/{pair.target}/{kind}/{digest}")
        answer.raise_for_status()


async def test_a_mirror_that_is_as_it_should_be(mirrors: Mirrors, pair: Pair, rows: Rows) -> None:
    await push(pair.source_url, pair.source, ["0.1.0", "latest"], IMAGE)
    await mirrors.sync()
    report = await audited(deep=True)
    assert (report.status, report.tags, report.handed_over) == ("in_sync", 2, ())
    assert report.blobs_hashed == len(IMAGE.blobs)
    columns = "deep, tags, blobs_hashed, bytes_hashed, requests, reason"
    assert rows.all(f"SELECT {columns} FROM audit_run") == [
        {
            "deep": True,
            "tags": 2,
            "blobs_hashed": len(IMAGE.blobs),
            "bytes_hashed": sum(map(len, IMAGE.blobs.values())),
            "requests": report.requests.source + report.requests.target,
            "reason": None,
        }
    ]


async def test_blobs_and_children_that_the_target_lost_come_back_with_the_next_sync(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    await push(pair.source_url, pair.source, ["0.1.0", "latest"], IMAGE)
    await push(pair.source_url, pair.source, "0.2.0", single("sound"))
    await mirrors.sync()
    await delete(pair, LAYERS[0], "blobs")
    await delete(pair, IMAGE.children[1].digest)
    assert (await mirrors.sync()).tags.changed == 0  # the history has no way to know

    report = await audited()
    assert kinds(report) == [
        ("0.1.0", "missing_blob"),
        ("0.1.0", "missing_manifest"),
        ("latest", "missing_blob"),
        ("latest", "missing_manifest"),
    ]
    assert report.handed_over == ("0.1.0", "latest")

    repaired = await mirrors.sync()
    assert repaired.status is RunStatus.SUCCEEDED
    assert (repaired.tags.changed, repaired.blobs.copied) == (2, 1)
    source = await snapshot(pair.source_url, pair.source)
    target = await snapshot(pair.target_url, pair.target)
    assert target.whole
    assert target.tags == source.tags
    assert rows.one("SELECT count(*) FROM audit_finding WHERE repaired_at IS NULL") == 0
    arrived = rows.all("SELECT DISTINCT kind FROM tag_sync WHERE status = 'succeeded' ORDER BY 1")
    assert [row["kind"] for row in arrived] == ["missing", "new"]
    assert (await audited()).status == "in_sync"


async def test_drift_is_recorded_under_its_own_name_and_repaired(
    mirrors: Mirrors, pair: Pair, rows: Rows
) -> None:
    await push(pair.source_url, pair.source, "0.1.0", IMAGE)
    await mirrors.sync()
    await push(pair.target_url, pair.target, "0.1.0", single("somebody else's"))
    assert kinds(await audited()) == [("0.1.0", "wrong_digest")]
    await mirrors.sync()
    assert (await snapshot(pair.target_url, pair.target)).tags == {"0.1.0": IMAGE.digest}
    assert rows.one("SELECT kind FROM tag_sync ORDER BY started_at DESC LIMIT 1") == "drifted"


async def test_a_source_that_moved_on_is_no_fault_of_the_target(
    mirrors: Mirrors, pair: Pair
) -> None:
    await push(pair.source_url, pair.source, "latest", single("old"))
    await mirrors.sync()
    await push(pair.source_url, pair.source, "latest", IMAGE)
    report = await audited()
    assert kinds(report) == [("latest", "behind")]
    assert report.handed_over == ()


async def test_an_audit_that_cannot_be_finished_says_why_and_is_recorded(
    mirrors: Mirrors, rows: Rows
) -> None:
    mirrors.add("m", "127.0.0.1:9/team/app", "127.0.0.1:9/copy/app")
    report = await audited()
    assert report.failure is not None
    assert report.failure.reason is Reason.NETWORK
    assert rows.one("SELECT reason FROM audit_run") == "network"
