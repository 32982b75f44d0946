"""How a run ends: its status, its figures, its warnings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mirror.outcome import (
    BlobTally,
    CopyOutcome,
    Discovery,
    Dropped,
    DropReason,
    Plan,
    Reason,
    RunStatus,
    SourceTag,
    TagFailure,
    TagTally,
)
from mirror.sync.context import SyncContext
from mirror.sync.results import SyncResults
from tests.support.fake_registry.registry import FakeRegistry
from tests.sync.core import NAME, CoreSync, endpoint_of
from tests.sync.parts import change, copied, digest

GOOD = copied("good", digest(1))
FAILURE = TagFailure("bad", Reason.NETWORK, "broken")
BAD = replace(copied("bad", digest(2)), failure=FAILURE, target_digest=None)
AS_A_WHOLE = TagFailure(None, Reason.AUTH, "no credential")


@pytest.fixture
async def context() -> AsyncIterator[SyncContext]:
    """What a run works with."""
    async with (
        FakeRegistry() as source,
        FakeRegistry() as target,
        CoreSync(endpoint_of(source), endpoint_of(target)).open() as context,
    ):
        yield context


@pytest.mark.parametrize(
    ("outcomes", "failures", "unchanged", "status"),
    [
        ([], [], 0, RunStatus.SUCCEEDED),
        ([GOOD], [], 0, RunStatus.SUCCEEDED),
        ([GOOD, BAD], [FAILURE], 0, RunStatus.PARTIAL),
        ([BAD], [FAILURE], 1, RunStatus.PARTIAL),
        ([BAD], [FAILURE], 0, RunStatus.FAILED),
        ([], [AS_A_WHOLE], 5, RunStatus.FAILED),
        ([GOOD], [AS_A_WHOLE], 5, RunStatus.FAILED),
    ],
)
async def test_a_run_fails_as_a_whole_or_where_nothing_is_well(
    context: SyncContext,
    outcomes: list[CopyOutcome],
    failures: list[TagFailure],
    unchanged: int,
    status: RunStatus,
) -> None:
    results = SyncResults(context, "run")
    results.plan = Plan((), unchanged)
    results.copied += outcomes
    results.failures += failures
    outcome = results.outcome()
    assert outcome.status is status
    assert outcome.errors == tuple(failures)
    assert (outcome.mirror, outcome.run_id) == (NAME, "run")


async def test_tags_and_blobs_are_counted(context: SyncContext) -> None:
    results = SyncResults(context, "run")
    unread = TagFailure("unread", Reason.SERVER_ERROR, "500")
    results.discovery = Discovery(
        (SourceTag("good", digest(1)), SourceTag("bad", digest(2)), SourceTag("same", digest(3))),
        complete=True,
        via="tags_list",
        failed=(unread,),
    )
    results.plan = Plan(
        (GOOD.change, BAD.change), unchanged=1, adopted=(change("adopted", digest(4)),)
    )
    results.copied += [
        replace(GOOD, blobs=BlobTally(1, 2, 3), bytes_copied=10),
        replace(BAD, blobs=BlobTally(4, 0, 0), bytes_copied=5),
    ]
    results.failures += [unread, FAILURE, replace(FAILURE, message="once more")]
    outcome = results.outcome()
    assert outcome.tags == TagTally(discovered=4, changed=3, copied=1, failed=2)
    assert outcome.blobs == BlobTally(5, 2, 3)
    assert outcome.bytes_copied == 15


async def test_requests_are_counted_by_side_and_seconds_by_step(context: SyncContext) -> None:
    results = SyncResults(context, "run")
    with results.timer.measure("copy"):
        clients = context.clients
        for repository in (clients.source, clients.target, clients.verifier):
            assert await repository.head_manifest("absent") is None
    outcome = results.outcome()
    assert (outcome.requests.source, outcome.requests.target) == (1, 2)
    assert outcome.seconds.copy > 0
    assert outcome.seconds.verify == 0
    assert outcome.seconds.total >= outcome.seconds.copy


async def test_a_dry_run_names_what_it_would_copy_and_has_copied_nothing(
    context: SyncContext,
) -> None:
    plan = Plan((GOOD.change, BAD.change), 0)
    for dry_run in (True, False):
        results = SyncResults(replace(context, dry_run=dry_run), "run")
        results.plan = plan
        results.copied += [GOOD]
        outcome = results.outcome()
        assert outcome.dry_run is dry_run
        assert outcome.tags.copied == (0 if dry_run else 1)
        assert outcome.planned == ({"good": "new", "bad": "new"} if dry_run else {})


def left_out(tag: str, *numbers: int, reason: DropReason = DropReason.PLATFORM) -> CopyOutcome:
    """A tag that was copied without some parts."""
    dropped = tuple(Dropped(digest(number), "application/json", reason) for number in numbers)
    return replace(copied(tag, digest(1)), dropped=dropped)


async def test_parts_left_out_are_a_warning_for_each_reason(context: SyncContext) -> None:
    results = SyncResults(context, "run")
    results.warnings += ["first", "second", "first"]
    results.copied += [
        left_out("1", 1, 2),
        left_out("2", 2),
        left_out("3", 3),
        left_out("3", 9, reason=DropReason.ATTESTATION),
        GOOD,
    ]
    assert results.outcome().warnings == (
        "first",
        "second",
        "3 parts left out of 3 tags (platform): 1, 2, 3",
        "1 parts left out of 1 tags (attestation): 3",
    )
    results.copied.append(left_out("4", 4))
    assert "4 parts left out of 4 tags (platform): 1, 2, 3, …" in results.outcome().warnings


async def test_a_run_that_leaves_a_failing_tag_alone_is_no_success(context: SyncContext) -> None:
    results = SyncResults(context, "run-1")
    results.plan = Plan((), 5, deferred=("a", "b"), failing=("a",))
    outcome = results.outcome()
    assert (outcome.status, outcome.errors) == (RunStatus.PARTIAL, ())
    assert outcome.warnings == ("1 tag that failed before waits for its next try: a",)
    results.plan = Plan((), 5, deferred=("b",))
    assert results.outcome().status is RunStatus.SUCCEEDED
