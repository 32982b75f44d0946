"""One tag of a sync: copied, verified, recorded as it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace

from mirror.outcome import (
    Change,
    CopyOutcome,
    Reason,
    TagFailure,
    TagStatus,
    Verification,
    utcnow,
)
from mirror.sync.clients import MirrorClients
from mirror.sync.context import SyncContext
from mirror.sync.copy_batch import CopyBatch
from mirror.sync.copying import Copier
from mirror.sync.signatures import SignatureCheck
from mirror.sync.step import StepBroken
from mirror.sync.verify import VerificationQueue

_TAGS_AT_ONCE = 64  # each costs little memory, and small tags are bound by round trips


def tags_at_once(clients: MirrorClients) -> int:
    """How many tags to copy at once: more where the registries are far away."""
    widths = (clients.source.registry.calls.width, clients.target.registry.calls.width)
    return max(_TAGS_AT_ONCE, *widths)


class TagOrder:
    """Which tags of a run have arrived, so that floating tags wait for their exact release."""

    def __init__(self, changes: tuple[Change, ...]) -> None:
        self._arrived: dict[str, asyncio.Future[bool]] = {
            change.tag: asyncio.get_running_loop().create_future() for change in changes
        }
        self._lead = changes[0].tag if changes else None
        self._started = asyncio.Event()

    async def wait_for(self, change: Change) -> bool:
        """Wait for the tags that go before this one; True if all of them arrived.

        The first tag of a run leads until its copy has started: its bytes flow while the steps of
        the others are set up.
        """
        waits: list[Awaitable[bool]] = [
            asyncio.shield(self._arrived[tag]) for tag in change.waits_for if tag in self._arrived
        ]
        if not all(await asyncio.gather(*waits)):
            return False
        if change.tag != self._lead:
            await self._started.wait()
        return True

    def start(self) -> None:
        """Report that a copy has started."""
        self._started.set()

    def finish(self, tag: str, *, arrived: bool) -> None:
        """Report how a tag ended."""
        self._started.set()
        future = self._arrived[tag]
        if not future.done():
            future.set_result(arrived)


@dataclass(frozen=True)
class TagWork:
    """What the tags of one run share."""

    context: SyncContext
    run_id: str
    copier: Copier
    verification: VerificationQueue
    signatures: SignatureCheck
    order: TagOrder
    batches: Mapping[str, CopyBatch]
    slots: asyncio.Semaphore


async def sync_tag(work: TagWork, change: Change) -> CopyOutcome | str | None:
    """Copy, verify and record one tag.

    Returns its outcome, with its failure if it failed, or why it was not tried: the exact release
    that it waits for failed, or its signature is not there yet. None where a budget of the run is
    used up: the next run takes it.
    """
    arrived = False
    try:
        if not await work.order.wait_for(change):
            message = f"waits for {', '.join(change.waits_for)}, which failed"
            await work.context.recorder.tag_skipped(
                work.run_id, work.context.mirror.name, change, TagStatus.WAITING, message
            )
            return message
        if (refused := await _refuse_unsigned(work, change)) is not None:
            return refused
        async with work.slots:
            if work.context.clients.budget.breach is not None:
                return None
            await work.context.recorder.tag_started(
                work.run_id, work.context.mirror.name, change, utcnow()
            )
            outcome = await _copy(work, change)
            verification = None
            if outcome.failure is None:
                verification = await work.verification.submit(outcome)
            outcome = await _record(work, outcome, verification)
        arrived = outcome.failure is None
        return outcome
    finally:
        work.context.progress.tags_done += 1
        work.batches[change.tag].finish(change.tag)
        work.order.finish(change.tag, arrived=arrived)


async def adopt_tag(work: TagWork, change: Change) -> CopyOutcome:
    """Record a tag that the target holds already, once it is verified like any other."""
    now = utcnow()
    async with work.slots:
        await work.context.recorder.tag_started(work.run_id, work.context.mirror.name, change, now)
        outcome = CopyOutcome(change, now, now, target_digest=change.digest)
        return await _record(work, outcome, await work.verification.submit(outcome))


async def _refuse_unsigned(work: TagWork, change: Change) -> CopyOutcome | str | None:
    """Record a tag that may not be copied for want of a signature; None for one that may."""
    started = utcnow()
    unsigned = await work.signatures.refuse(change)
    if unsigned is None or work.context.clients.budget.breach is not None:
        return None
    if unsigned.retry_at is None:
        return await _record(
            work, CopyOutcome(change, started, utcnow(), failure=unsigned.failure), None
        )
    await work.context.recorder.tag_skipped(
        work.run_id,
        work.context.mirror.name,
        change,
        TagStatus.WAITING,
        unsigned.failure.message,
        retry_at=unsigned.retry_at,
    )
    return unsigned.failure.message


async def _copy(work: TagWork, change: Change) -> CopyOutcome:
    started = utcnow()

    async def copy() -> CopyOutcome:
        work.order.start()
        return await work.copier.copy(change)

    try:
        return await work.batches[change.tag].copy(change.tag, copy)
    except StepBroken as broken:
        # A defect in one tag: the others continue, this one is recorded by its kind.
        message = f"the copy of {change.tag} broke off: {broken}"
        failure = TagFailure(change.tag, Reason.INTERNAL, message)
        return CopyOutcome(change, started, utcnow(), failure=failure)


async def _record(
    work: TagWork, outcome: CopyOutcome, verification: Verification | None
) -> CopyOutcome:
    """Write how the tag ended; the outcome with the failure of its verification, if it failed."""
    failure = verification.failure if verification else None
    if failure is not None:
        # The next run asks for all that this one placed, and for what could not be read.
        placed = tuple(blob.digest for blob in outcome.placed)
        lost = verification.lost if verification else ()
        outcome = replace(outcome, placed=(), lost=tuple(dict.fromkeys((*placed, *lost))))
    context = work.context
    await context.recorder.tag_ended(
        work.run_id, context.mirror.name, outcome, verification, context.retry, context.target
    )
    return outcome if failure is None else replace(outcome, failure=failure)
