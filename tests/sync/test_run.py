"""A whole sync: the order of its steps, how it ends, and what it leaves alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from flows.local.sample_registry.images import single
from mirror.config.models import TagPolicy
from mirror.errors import ConfigError, DatabaseError
from mirror.outcome import (
    ChangeKind,
    CopyOutcome,
    Reason,
    RunOutcome,
    RunStatus,
    TagFailure,
    TagStatus,
    Trigger,
    Verification,
    utcnow,
)
from mirror.registry import Endpoint, Registry
from mirror.sync.context import SyncContext
from mirror.sync.run import refuse, run
from mirror.sync.step import Step, StepBroken, call
from mirror.sync.verify import Verifier
from tests.support.fake_registry import quirks
from tests.support.fake_registry.behaviour import Behaviour, PullQuota
from tests.support.fake_registry.faults import Respond, Rule
from tests.support.fake_registry.images import multi_platform
from tests.support.fake_registry.oddities import artifact
from tests.support.fake_registry.registry import FakeRegistry
from tests.support.memory_recorder import MemoryRecorder
from tests.sync.core import NAME, SOURCE, TARGET, CoreSync, endpoint_of, seed
from tests.sync.parts import digest, known, requests

T = TypeVar("T")
IMAGE = single("run")
HANG = 30  # seconds until a sync that waits for ever is stopped


@dataclass
class Mirror:
    """A source, a target, and the mirror between them."""

    source: FakeRegistry
    target: FakeRegistry
    core: CoreSync

    async def run(
        self,
        step: Step = call,
        change: Callable[[SyncContext], SyncContext] = lambda context: context,
        *,
        full: bool = True,
        dry_run: bool = False,
    ) -> tuple[RunOutcome, tuple[CopyOutcome, ...]]:
        """One sync. `change` gives its context with other parts."""
        async with self.core.open(full=full, dry_run=dry_run) as context:
            running = asyncio.create_task(run(change(context), step))
            ended, _ = await asyncio.wait({running}, timeout=HANG)
            if not ended:
                running.cancel()
                pytest.fail("the sync waits for ever")
            return await running

    @property
    def tags(self) -> dict[str, str]:
        """What the target's tags point at."""
        return self.target.store.repository(TARGET).tags

    @property
    def last(self) -> RunOutcome:
        """The run that the record has as ended last; none is left open."""
        assert self.core.recorder.running == {}
        return self.core.recorder.ended[-1]


@asynccontextmanager
async def mirror(
    source: Behaviour | None = None, target: Behaviour | None = None, **options: Any
) -> AsyncIterator[Mirror]:
    """A source with one tag `1.0`, and an empty target."""
    async with FakeRegistry(source) as at_source, FakeRegistry(target) as at_target:
        seed(at_source.store, SOURCE, "1.0", IMAGE)
        core = CoreSync(endpoint_of(at_source), endpoint_of(at_target), **options)
        yield Mirror(at_source, at_target, core)


class Steps:
    """Notes the steps in the order in which they begin and end."""

    def __init__(self) -> None:
        self.began: list[tuple[str, str]] = []
        self.ended: list[str] = []

    async def __call__(self, name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
        self.began.append((name, subject))
        try:
            return await work()
        finally:
            self.ended.append(name)


def failing(step_that_fails: str, error: Exception) -> Step:
    """Steps of which one raises."""

    async def step(name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
        if name == step_that_fails:
            raise error
        return await work()

    return step


async def test_a_sync_discovers_compares_copies_and_verifies() -> None:
    async with mirror() as both:
        steps = Steps()
        outcome, copied = await both.run(steps)
        assert [name for name, _ in steps.began[:2]] == ["discover", "diff"]
        assert sorted(name for name, _ in steps.began[2:]) == ["copy", "verify"]
        assert ("copy", "1.0") in steps.began
        assert steps.ended[-1] == "verify"
        assert outcome.status is RunStatus.SUCCEEDED
        assert [one.change.tag for one in copied] == ["1.0"]
        assert both.tags == {"1.0": IMAGE.digest}
        assert both.last == outcome


async def test_where_nothing_changed_nothing_is_copied_and_the_run_is_recorded() -> None:
    async with mirror() as both:
        await both.run()
        both.target.exchanges.clear()
        steps = Steps()
        outcome, copied = await both.run(steps)
        assert [name for name, _ in steps.began] == ["discover", "diff"]
        assert (outcome.status, copied) == (RunStatus.SUCCEEDED, ())
        assert requests(both.target) == [
            "HEAD manifests/1.0",
            f"GET manifests/{IMAGE.digest}",  # its platforms: what refers to one of them is late
        ]
        assert both.last == outcome


async def test_a_credential_that_does_not_exist_ends_the_run_and_is_raised() -> None:
    def missing() -> None:
        raise ConfigError("the variable PASSWORD is not set")

    async with mirror() as both:
        with pytest.raises(ConfigError, match="PASSWORD"):
            await both.run(
                change=lambda context: replace(
                    context, clients=replace(context.clients, require_credentials=missing)
                )
            )
        assert both.last.status is RunStatus.FAILED
        assert both.last.errors == (
            TagFailure(None, Reason.AUTH, "the variable PASSWORD is not set"),
        )
        assert both.source.exchanges == both.target.exchanges == []


async def test_a_source_that_fails_ends_the_run_and_is_not_raised() -> None:
    async with mirror() as both:
        both.source.faults.add(Rule("/tags/list", Respond(403, "DENIED"), times=None))
        outcome, copied = await both.run()
        assert outcome.status is RunStatus.FAILED
        (error,) = outcome.errors
        assert (error.tag, error.reason) == (None, Reason.AUTH)
        assert both.source.host in error.message
        assert copied == ()
        assert both.last == outcome


@pytest.mark.parametrize("step", ["discover", "diff", "copy", "verify"])
@pytest.mark.parametrize("error", [ZeroDivisionError("a secret"), DatabaseError("a secret")])
async def test_an_error_that_nobody_expected_ends_the_run_and_is_raised(
    step: str, error: Exception
) -> None:
    async with mirror() as both:
        with pytest.raises(type(error)):
            await both.run(failing(step, error))
        assert both.last.status is RunStatus.FAILED
        failure = both.last.errors[-1]
        assert (failure.tag, failure.reason) == (None, Reason.INTERNAL)
        assert failure.message == f"{type(error).__name__} in sync app"


async def test_a_defect_of_the_verification_ends_the_run_and_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(self: Verifier, copied: CopyOutcome) -> Verification:
        raise ZeroDivisionError

    monkeypatch.setattr(Verifier, "verify", broken)
    async with mirror() as both:
        with pytest.raises(ExceptionGroup) as raised:
            await both.run()
        assert raised.group_contains(ZeroDivisionError)
        assert both.last.errors[-1].reason is Reason.INTERNAL


async def test_a_run_that_lost_its_lock_puts_no_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(self: MemoryRecorder, target: str) -> None:
        raise DatabaseError(f"{target}: the lock is lost")

    monkeypatch.setattr(MemoryRecorder, "check_lock", lost)
    async with mirror() as both:
        outcome, _ = await both.run()
        assert both.tags == {}
        assert outcome.status is RunStatus.FAILED


async def test_after_an_error_no_tag_is_copied_any_more() -> None:
    """The run is recorded as ended: what went on would be recorded in a run that is over."""
    stopped: list[str] = []

    async def step(name: str, work: Callable[[], Awaitable[T]], subject: str = "") -> T:
        if subject == "1.0":
            raise ZeroDivisionError
        if name == "copy":
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                stopped.append(subject)
        return await work()

    async with mirror() as both:
        seed(both.source.store, SOURCE, ("2.0", "3.0"), single("run/others"))
        with pytest.raises(ZeroDivisionError):
            await both.run(step)
        assert both.last.errors[-1].reason is Reason.INTERNAL
        assert sorted(stopped) == ["2.0", "3.0"]
        assert both.tags == {}


async def test_a_copy_that_breaks_off_fails_its_tag_and_not_the_run() -> None:
    async with mirror() as both:
        outcome, copied = await both.run(failing("copy", StepBroken("crashed")))
        assert [error.tag for error in outcome.errors] == ["1.0"]
        assert outcome.errors[0].reason is Reason.INTERNAL
        assert len(copied) == 1
        assert both.last == outcome


async def test_a_tag_that_cannot_be_read_fails_alone() -> None:
    async with mirror() as both:
        seed(both.source.store, SOURCE, "2.0", single("run/two"))
        both.source.faults.add(Rule("/manifests/2.0", Respond(403, "DENIED"), times=None))
        outcome, _ = await both.run()
        assert outcome.status is RunStatus.PARTIAL
        assert [(error.tag, error.reason) for error in outcome.errors] == [("2.0", Reason.AUTH)]
        assert both.tags == {"1.0": IMAGE.digest}


async def test_a_dry_run_writes_to_no_registry_and_no_state() -> None:
    async with mirror() as both:
        before = (await both.core.recorder.known_tags(NAME), dict(both.tags))
        steps = Steps()
        outcome, copied = await both.run(steps, dry_run=True)
        assert [name for name, _ in steps.began] == ["discover", "diff"]
        assert outcome.planned == {"1.0": "new"}
        assert (outcome.status, outcome.dry_run, copied) == (RunStatus.SUCCEEDED, True, ())
        assert {one.method for one in both.target.exchanges} <= {"GET", "HEAD"}
        assert {one.method for one in both.source.exchanges} <= {"GET", "HEAD"}
        record = both.core.recorder
        assert (await record.known_tags(NAME), both.tags) == before
        assert record.discoveries == []
        assert (record.started, record.skipped) == ([], [])
        assert not any(record.capabilities.values())
        assert both.last == outcome, "that it ran is recorded"


async def test_a_run_that_cannot_begin_is_recorded_as_failed() -> None:
    async with mirror() as both:
        async with both.core.open(dry_run=True) as context:
            outcome = await refuse(context, Reason.LOCK, "another run works on the target")
        assert outcome.status is RunStatus.FAILED
        assert outcome.dry_run
        assert outcome.errors == (TagFailure(None, Reason.LOCK, "another run works on the target"),)
        assert both.last == outcome
        assert both.source.exchanges == both.target.exchanges == []


async def test_after_a_run_that_was_killed_every_blob_is_looked_for() -> None:
    """What it had uploaded and not recorded is there already."""
    async with mirror() as both:
        for killed in (True, False):
            both.tags.clear()
            both.core.recorder.known.clear()
            both.core.recorder.blobs.clear()
            if killed:
                await both.core.recorder.begin_run(NAME, Trigger.SCHEDULE, full=True)
            both.target.exchanges.clear()
            outcome, _ = await both.run()
            assert outcome.status is RunStatus.SUCCEEDED
            looks = [line for line in requests(both.target) if "blobs/sha256" in line]
            # The verification looks for each once.
            assert len(looks) == len(IMAGE.blobs) * (2 if killed else 1)


async def test_an_immutable_tag_that_moved_is_held_and_named() -> None:
    async with mirror(tags=TagPolicy(immutable=("1.*",))) as both:
        await both.run()
        moved = single("run/moved")
        seed(both.source.store, SOURCE, "1.0", moved)
        outcome, copied = await both.run()
        assert copied == ()
        assert both.tags == {"1.0": IMAGE.digest}
        (warning,) = outcome.warnings
        assert warning == (
            f"1.0 is immutable and moved at the source to {moved.digest}: not overwritten"
        )
        assert both.core.recorder.skipped == [("1.0", TagStatus.HELD, warning)]


async def test_what_the_quota_does_not_allow_waits_and_is_a_failure_of_its_tag() -> None:
    async with mirror(Behaviour(quota=PullQuota(limit=100, used=89))) as both:
        for number in range(3):
            seed(both.source.store, SOURCE, f"2.{number}", single(f"run/{number}"))
        outcome, copied = await both.run()
        assert outcome.status is RunStatus.PARTIAL
        assert len(copied) == 1
        assert [error.reason for error in outcome.errors] == [Reason.QUOTA] * 3
        record = both.core.recorder
        assert [status for _, status, _ in record.skipped] == [TagStatus.WAITING] * 3
        assert all(message.startswith("not enough pull quota") for _, _, message in record.skipped)
        (reading,) = record.quotas
        assert reading.registry == both.source.host
        assert reading.remaining == 10


async def test_what_a_run_learnt_of_the_registries_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mirror.registry.blob_copy._PLAIN", 0)
    async with mirror(target=quirks.DISTRIBUTION_2_8) as both:
        await both.run()
        capabilities = both.core.recorder.capabilities
        assert capabilities[both.target.host, TARGET]["single_post"] is False
        assert capabilities[both.source.host, SOURCE] == {
            "referrers": True,
            "counts_pulls": False,
        }


async def test_what_earlier_runs_learnt_is_used() -> None:
    async with mirror(target=quirks.DISTRIBUTION_2_8) as both:
        capabilities = both.core.recorder.capabilities[both.target.host, TARGET]
        capabilities["single_post"] = False
        await both.run()
        tried = [
            one for one in both.target.exchanges if one.method == "POST" and "digest=" in one.query
        ]
        assert tried == []


async def test_a_blob_that_the_record_has_elsewhere_is_mounted() -> None:
    async with mirror() as both:
        for raw in IMAGE.blobs.values():
            both.target.store.add_blob("hagicode/other", raw)
        held = both.core.recorder.blobs[both.target.host, "hagicode/other"]
        held.update({digest: len(raw) for digest, raw in IMAGE.blobs.items()})
        outcome, _ = await both.run()
        assert outcome.blobs.mounted == len(IMAGE.blobs)
        assert outcome.bytes_copied == 0


async def test_a_target_that_anonymous_users_cannot_pull_from_is_a_warning() -> None:
    async with mirror(target=quirks.ALIYUN_PERSONAL) as both:
        outside = Endpoint(
            both.target.host, insecure=True, realm_hosts=both.core.target.realm_hosts
        )
        async with Registry(outside) as anonymous:
            outcome, _ = await both.run(
                change=lambda context: replace(
                    context,
                    clients=replace(context.clients, anonymous=anonymous.repository(TARGET)),
                )
            )
        assert outcome.status is RunStatus.SUCCEEDED
        (warning,) = outcome.warnings
        assert "make the repository public" in warning


async def test_a_late_signature_is_copied_by_a_full_sync_and_its_tag_not_moved() -> None:
    async with mirror() as both:
        await both.run()
        sbom = artifact("run/late", IMAGE.root)
        seed(both.source.store, SOURCE, (), sbom)
        _, copied = await both.run(full=False)
        assert copied == ()
        _, copied = await both.run()
        assert [one.change.kind for one in copied] == [ChangeKind.REFERRERS]
        assert sbom.digest in both.target.store.repository(TARGET).manifests


async def test_a_tag_that_is_gone_long_enough_is_deleted() -> None:
    async with mirror(tags=TagPolicy(delete_after=timedelta(days=1), delete_share=1)) as both:
        await both.run()
        seed(both.target.store, TARGET, "gone", single("run/gone"))
        record = both.core.recorder
        gone = single("run/gone").digest
        record.known[NAME]["gone"] = replace(
            known("gone", gone), gone_at=utcnow() - timedelta(days=2)
        )
        record.known[NAME]["missing"] = replace(
            known("missing", digest(1)), gone_at=utcnow() - timedelta(hours=1)
        )
        outcome, _ = await both.run()
        assert outcome.status is RunStatus.SUCCEEDED
        assert both.tags == {"1.0": IMAGE.digest}
        assert record.skipped == [("gone", TagStatus.DELETED, "gone at the source")]
        assert "missing" in record.known[NAME], "its time has not come"


async def test_adopted_tags_are_recorded_next_to_those_that_are_copied() -> None:
    async with mirror() as both:
        both_platforms = multi_platform("run/adopted")
        for registry, repository in ((both.source, SOURCE), (both.target, TARGET)):
            seed(registry.store, repository, "2.0", both_platforms)
        outcome, copied = await both.run()
        assert {one.change.tag for one in copied} == {"1.0", "2.0"}
        assert outcome.blobs.copied == len(IMAGE.blobs)
        state = both.core.recorder.known[NAME]["2.0"]
        assert state.copied_digest == state.target_digest == both_platforms.digest
