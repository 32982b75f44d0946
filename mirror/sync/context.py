"""One sync run: its parts, what it has done so far, and what that comes to in the end.

A plain class on purpose: Prefect looks through the dataclasses and collections that a task is
given, which for ten thousand tags takes longer than the task.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from mirror.config import MirrorSettings
from mirror.history import PostgresRecorder
from mirror.outcome import (
    BlobTally,
    CopyOutcome,
    Discovery,
    DropReason,
    KnownTag,
    Plan,
    Requests,
    RunOutcome,
    RunStatus,
    Seconds,
    TagFailure,
    TagTally,
)
from mirror.registry import Manifest
from mirror.sync.ahead import Ahead
from mirror.sync.blob_placement import Shared
from mirror.sync.clients import Sides, image_rules_of
from mirror.sync.copy import Copier
from mirror.sync.headstart import HeadStart
from mirror.sync.progress import Meter
from mirror.sync.verification_queue import VerificationDesk
from mirror.sync.verify import Verifier

SHARED_UPLOADS: ContextVar[defaultdict[str, Shared] | None] = ContextVar(
    "mirror_shared_uploads", default=None
)
"""By target registry: blobs that several mirrors of this process are bringing there at once."""

# Copies of tags under way; each costs little memory, and small tags are bound by round trips.
TAGS_AT_ONCE = 64


class SyncRun:
    """The state of a sync run while it works."""

    def __init__(
        self,
        mirror: MirrorSettings,
        record: PostgresRecorder,
        run_id: str,
        sides: Sides,
        *,
        full: bool,
        dry_run: bool,
        retry_now: bool,
        meter: Meter,
        started: float,
        ahead: Ahead | None = None,
    ) -> None:
        """`started`: when the flow began to work, by perf_counter. `ahead`: has begun to ask for
        the source's list."""
        self.mirror = mirror
        self.record = record
        self.run_id = run_id
        self.sides = sides
        self.full = full
        self.dry_run = dry_run
        self.retry_now = retry_now
        self.meter = meter
        self.ahead = ahead
        self.known: dict[str, KnownTag] = {}
        self.discovery = Discovery((), False, "")
        self.plan = Plan((), 0)
        self.start = HeadStart(sides.source, image_rules_of(mirror))
        self.copier: Copier | None = None
        self.slots = asyncio.Semaphore(TAGS_AT_ONCE)
        self.begun = asyncio.Event()
        """The copy of the first tag has."""
        self.verification = VerificationDesk(Verifier(sides.check, self._put))
        self.copied: list[CopyOutcome] = []
        self.failures: list[TagFailure] = []
        self.warnings: list[str] = []
        self.progress: asyncio.Task[None] | None = None
        self._first = True
        self._started = started
        self._seconds: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._busy: Counter[str] = Counter()

    @contextmanager
    def timed(self, step: str, since: float | None = None) -> Iterator[None]:
        """Add the time of the block to a step's seconds; blocks that overlap count once.

        `since`: when the step began, by perf_counter, if that was before the block.
        """
        if not self._busy[step]:
            self._since[step] = since or time.perf_counter()
        self._busy[step] += 1
        try:
            yield
        finally:
            self._busy[step] -= 1
            if not self._busy[step]:
                spent = time.perf_counter() - self._since[step]
                self._seconds[step] = self._seconds.get(step, 0.0) + spent

    async def turn(self) -> None:
        """Let the first tag go ahead until its copy begins: its bytes flow while the others, each
        with a task run, begin."""
        if self._first:
            self._first = False
        else:
            await self.begun.wait()

    async def stop_progress(self) -> None:
        """End the progress artifact, which nothing of the run has to wait for."""
        if self.progress is not None:
            self.progress.cancel()
            with suppress(asyncio.CancelledError):
                await self.progress

    def _put(self, digest: str) -> Manifest | None:
        return self.copier.put.get(digest) if self.copier else None

    def outcome(self) -> RunOutcome:
        """What the run comes to now."""
        good = [copy for copy in self.copied if copy.failure is None]
        failed = {failure.tag for failure in self.failures if failure.tag is not None}
        status = RunStatus.SUCCEEDED
        if self.failures:
            nothing = not good and not self.plan.unchanged
            status = RunStatus.FAILED if None in self._scopes() or nothing else RunStatus.PARTIAL
        blobs = sum((copy.blobs for copy in self.copied), BlobTally())
        return RunOutcome(
            mirror=self.mirror.name,
            run_id=self.run_id,
            status=status,
            tags=TagTally(
                discovered=len(self.discovery.tags) + len(self.discovery.failed),
                changed=len(self.plan.changes) + len(self.plan.adopted),
                copied=0 if self.dry_run else len(good),
                failed=len(failed),
            ),
            blobs=blobs,
            bytes_copied=sum(copy.bytes_copied for copy in self.copied),
            requests=Requests(self.sides.source_requests, self.sides.target_requests),
            seconds=Seconds(
                **{step: round(spent, 4) for step, spent in self._seconds.items()},
                total=round(time.perf_counter() - self._started, 4),
            ),
            errors=tuple(self.failures),
            warnings=tuple(dict.fromkeys([*self.warnings, *_left_out(self.copied)])),
            dry_run=self.dry_run,
            planned={change.tag: change.kind.value for change in self.plan.changes}
            if self.dry_run
            else {},
        )

    def _scopes(self) -> set[str | None]:
        return {failure.tag for failure in self.failures}


_NAMED = 3  # tags named in a warning; the record has them all


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
        named = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
        yield f"{len(parts[reason])} parts left out of {len(names)} tags ({reason}): {named}"
