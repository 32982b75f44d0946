"""What runs tell the history, noted on the way there."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mirror.history import DatabaseAway, PostgresRecorder
from mirror.outcome import (
    Change,
    ChangeKind,
    CopyOutcome,
    RetryRule,
    RunOutcome,
    RunStatus,
    Trigger,
    Verification,
    utcnow,
)

BEGUN: ContextVar[list[str]] = ContextVar("BEGUN")
"""The ids of the runs that a sync has begun."""


@dataclass
class TagNote:
    """A tag of a run. `at` is when it was verified or failed; None while it is being copied."""

    change: Change
    at: datetime | None = None
    failure: str | None = None  # the reason
    message: str = ""
    begun: bool = True  # False: it could not even be read at the source


@dataclass
class RunNote:
    """A run with a row in the history. `ended_at` is None while it runs or nobody closed it."""

    mirror: str
    trigger: Trigger
    started_at: datetime
    ended_at: datetime | None = None
    status: RunStatus = RunStatus.RUNNING
    reason: str | None = None
    message: str = ""
    tags: dict[str, TagNote] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether it failed as a whole: its message is none of a tag."""
        return all(tag.message != self.message for tag in self.tags.values() if tag.failure)

    def abandon(self, at: datetime) -> None:
        """Somebody found that it was killed."""
        self.ended_at, self.status, self.reason = at, RunStatus.ABANDONED, "abandoned"


@dataclass
class Notes:
    """Runs by their id, in the order in which they started."""

    runs: dict[str, RunNote] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)  # nobody works on them any more
    failing: set[tuple[str, str]] = field(default_factory=set)  # mirrors' tags, by their last try
    running: set[str] = field(default_factory=set)

    def close_dead(self, at: datetime, mirror: str | None = None) -> None:
        """What a run of the mirror, or the watchdog, closes of those that were killed."""
        for run in [run for run in self.dead if mirror in (None, self.runs[run].mirror)]:
            self.runs[run].abandon(at)
            self.dead.discard(run)
            self.running.discard(run)


def noting(notes: Notes) -> type[PostgresRecorder]:
    """The recorder, which notes what it has written."""

    class NotingRecorder(PostgresRecorder):
        __slots__ = ()

        async def begin_run(self, mirror: str, trigger: Trigger, *rest: Any, **more: Any) -> str:
            run = await super().begin_run(mirror, trigger, *rest, **more)
            notes.runs[run] = RunNote(mirror, trigger, utcnow())
            notes.running.add(run)
            BEGUN.get().append(run)
            return run

        async def close_abandoned(
            self, mirror: str, except_run: str | None, at: datetime | None = None
        ) -> tuple[str, ...]:
            closed = await super().close_abandoned(mirror, except_run, at)
            notes.close_dead(utcnow(), mirror)
            return closed

        async def tag_started(
            self, run_id: str, mirror: str, change: Change, at: datetime | None = None
        ) -> None:
            await super().tag_started(run_id, mirror, change, at)
            notes.runs[run_id].tags[change.tag] = TagNote(change)

        async def tag_ended(
            self,
            run_id: str,
            mirror: str,
            outcome: CopyOutcome,
            verification: Verification | None,
            retry: RetryRule | None = None,
            repository: tuple[str, str] | None = None,
        ) -> None:
            await super().tag_ended(run_id, mirror, outcome, verification, retry, repository)
            failure = outcome.failure or (verification.failure if verification else None)
            at = verification.verified_at if verification else outcome.ended_at
            place = (mirror, outcome.change.tag)
            (notes.failing.add if failure else notes.failing.discard)(place)
            notes.runs[run_id].tags[outcome.change.tag] = TagNote(
                outcome.change,
                at,
                failure.reason.value if failure else None,
                failure.message if failure else "",
            )

        async def end_run(self, outcome: RunOutcome, at: datetime | None = None) -> None:
            if outcome.status is RunStatus.ABANDONED:
                raise DatabaseAway("killed")  # a power cut leaves no time to write anything
            await super().end_run(outcome, at)
            run = notes.runs[outcome.run_id]
            run.ended_at, run.status = utcnow(), outcome.status
            notes.running.discard(outcome.run_id)
            if outcome.status is RunStatus.FAILED:
                whole = [error for error in outcome.errors if error.tag is None]
                error = (whole or list(outcome.errors))[0]
                run.reason, run.message = error.reason.value, error.message
            for error in outcome.errors:  # tags that failed before they were begun
                if error.tag is not None and error.tag not in run.tags:
                    change = Change(error.tag, error.tag, ChangeKind.NEW, "", None, utcnow())
                    run.tags[error.tag] = TagNote(
                        change, utcnow(), error.reason.value, error.message, begun=False
                    )

    return NotingRecorder
