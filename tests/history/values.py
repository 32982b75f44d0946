"""Short ways to make what a flow gives to the recorder, and to look at the result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from mirror.history import PostgresRecorder
from mirror.outcome import (
    BlobTally,
    Change,
    ChangeKind,
    CopyOutcome,
    Discovery,
    PlacedBlob,
    Plan,
    Reason,
    SourceTag,
    TagFailure,
    Trigger,
    Verification,
)
from tests.support.records import MIRROR

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def row(engine: sa.Engine, query: str) -> sa.Row[tuple[object, ...]]:
    """The only row of a query."""
    with engine.connect() as connection:
        return connection.execute(sa.text(query)).one()


async def begin(recorder: PostgresRecorder) -> str:
    """Begin a full scheduled run of the only mirror, and give its id."""
    return await recorder.begin_run(MIRROR.name, Trigger.SCHEDULE, full=True)


def digest(number: int) -> str:
    """A digest, the same for the same number."""
    return f"sha256:{number:064x}"


def change(
    tag: str = "0.1.0",
    number: int = 1,
    kind: ChangeKind = ChangeKind.NEW,
    pushed_at: datetime | None = None,
    detected_at: datetime = NOON,
    attempt: int = 1,
) -> Change:
    """A tag to copy."""
    return Change(tag, tag, kind, digest(number), pushed_at, detected_at, attempt=attempt)


def copied(
    change: Change, at: datetime = NOON, blobs: tuple[int, ...] = (), attempts: int = 1
) -> CopyOutcome:
    """A copy that succeeded and placed these blobs of 100 bytes each."""
    return CopyOutcome(
        change,
        at - MINUTE,
        at,
        target_digest=change.digest,
        blobs=BlobTally(copied=len(blobs)),
        bytes_copied=100 * len(blobs),
        placed=tuple(PlacedBlob(digest(number), 100) for number in blobs),
        attempts=attempts,
    )


def failed(change: Change, reason: Reason = Reason.NETWORK, at: datetime = NOON) -> CopyOutcome:
    """A copy that failed."""
    failure = TagFailure(change.tag, reason, f"{change.tag}: {reason}")
    return CopyOutcome(change, at - MINUTE, at, failure=failure)


def seen(change: Change, at: datetime = NOON) -> Verification:
    """The tag was found at the target."""
    return Verification(change, at)


def discovery(*tags: SourceTag) -> Discovery:
    """A complete discovery of the source."""
    return Discovery(tags, complete=True, via="hub_api", listed=frozenset(tag.name for tag in tags))


def plan(*changes: Change, gone: tuple[str, ...] = ()) -> Plan:
    """These changes and nothing else."""
    return Plan(changes, unchanged=0, gone=gone)
