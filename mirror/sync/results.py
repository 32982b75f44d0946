"""What a sync has done so far, and how it ends. Written by mirror.sync.run alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from mirror.outcome import (
    BlobTally,
    CopyOutcome,
    Discovery,
    DropReason,
    Plan,
    Reason,
    Requests,
    RunOutcome,
    RunStatus,
    Seconds,
    TagFailure,
    TagTally,
)
from mirror.sync.context import SyncContext
from mirror.sync.step import StepTimer

_NAMED = 3  # tags named in a warning; the history has them all


class SyncResults:
    """The results of the steps of one sync."""

    def __init__(self, context: SyncContext, run_id: str) -> None:
        self.run_id = run_id
        self.discovery = Discovery((), False, "")
        self.plan = Plan((), 0)
        self.copied: list[CopyOutcome] = []
        self.failures: list[TagFailure] = []
        self.warnings: list[str] = []
        self.timer = StepTimer()
        self._context = context

    def outcome(self) -> RunOutcome:
        """The outcome of the run, if it ended now."""
        context, clients = self._context, self._context.clients
        good = sum(copy.failure is None for copy in self.copied)
        return RunOutcome(
            mirror=context.mirror.name,
            run_id=self.run_id,
            status=self._status(good),
            tags=TagTally(
                discovered=len(self.discovery.tags) + len(self.discovery.failed),
                changed=len(self.plan.changes) + len(self.plan.adopted),
                copied=0 if context.dry_run else good,
                failed=len({failure.tag for failure in self.failures if failure.tag is not None}),
            ),
            blobs=sum((copy.blobs for copy in self.copied), BlobTally()),
            bytes_copied=sum(copy.bytes_copied for copy in self.copied),
            requests=Requests(clients.source_requests, clients.target_requests),
            seconds=Seconds(
                **self.timer.seconds(), total=round(time.perf_counter() - context.started_at, 4)
            ),
            errors=tuple(self.failures),
            warnings=tuple(
                dict.fromkeys([*self.warnings, *_still_failing(self.plan), *_left_out(self.copied)])
            ),
            dry_run=context.dry_run,
            planned={change.tag: change.kind.value for change in self.plan.changes}
            if context.dry_run
            else {},
        )

    def progress(self) -> tuple[int, int]:
        """How many of the changed tags have been copied, and how many have not."""
        done = sum(copy.failure is None for copy in self.copied)
        return done, len(self.plan.changes) + len(self.plan.adopted) - done

    def _status(self, good: int) -> RunStatus:
        if not self.failures:
            # A tag that is left alone until its next try is not in sync: that is no success.
            return RunStatus.PARTIAL if self.plan.failing else RunStatus.SUCCEEDED
        as_a_whole = any(
            failure.tag is None and failure.reason is not Reason.SUSPICIOUS
            for failure in self.failures
        )
        tags_failed = any(failure.tag is not None for failure in self.failures)
        nothing = tags_failed and not good and not self.plan.unchanged
        return RunStatus.FAILED if as_a_whole or nothing else RunStatus.PARTIAL


def _still_failing(plan: Plan) -> Iterator[str]:
    if plan.failing:
        count = len(plan.failing)
        many = (
            f"{count} tags that failed before wait for their next try"
            if count > 1
            else "1 tag that failed before waits for its next try"
        )
        yield f"{many}: {_named(plan.failing)}"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _left_out(copied: Sequence[CopyOutcome]) -> Iterator[str]:
    """A line for each reason for which parts of images were left out."""
    tags: dict[DropReason, list[str]] = defaultdict(list)
    parts: dict[DropReason, set[str]] = defaultdict(set)
    for copy in copied:
        for drop in copy.dropped:
            parts[drop.reason].add(drop.digest)
            if tags[drop.reason][-1:] != [copy.change.tag]:
                tags[drop.reason].append(copy.change.tag)
    for reason, names in tags.items():
        left = f"{len(parts[reason])} parts left out of {len(names)} tags ({reason})"
        yield f"{left}: {_named(names)}"
