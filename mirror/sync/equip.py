"""What a sync run copies with, and what it leaves behind for the next one."""

from __future__ import annotations

from collections.abc import Sequence

from mirror.outcome import Change, Quota, Reason, TagFailure, TagStatus
from mirror.registry import Reference
from mirror.sync.anonymous_pull import anonymous_trouble
from mirror.sync.blob_placement import BlobPlacer, Shared
from mirror.sync.clients import image_rules_of, pace, tag_rules_of
from mirror.sync.context import SHARED_UPLOADS, SyncRun
from mirror.sync.copy import Copier
from mirror.sync.headstart import MOST
from mirror.sync.quota import Budget, spend

# Connections opened ahead: the first blobs of the first tags, and one tag's verification.
_TO_COPY = 16
_TO_VERIFY = 8


def begin(run: SyncRun, changes: Sequence[Change]) -> None:
    """Begin what the first copies need and the record has no say in."""
    if not changes:
        return
    run.start.read(change.digest for change in changes[:MOST])
    run.start.connect(run.sides.target, min(4 * len(changes), _TO_COPY))
    run.start.connect(run.sides.check, min(4 * len(changes), _TO_VERIFY))


async def make_copier(run: SyncRun, *, look_first: bool) -> Copier:
    target = Reference.parse(run.mirror.target)
    where = (target.registry, target.repository)
    record = run.record
    # One after the other: side by side each opens a connection, which takes longer.
    holdings = await record.holdings(*where)
    abilities = await record.abilities(*where)
    elsewhere = await record.holds_elsewhere(*where)
    run.sides.target.registry.capabilities.load(abilities)
    seen = run.discovery.target or {}
    placer = BlobPlacer(
        run.sides.source,
        run.sides.target,
        holdings=holdings,
        holders=(lambda digests: record.holders(target.registry, digests)) if elsewhere else None,
        shared=_shared(target.registry),
        # An empty target has nothing worth asking for; any other may hold more than is recorded.
        look_first=look_first or bool(run.known) or any(seen.values()),
        expect=run.meter.expect,
        progress=run.meter.advance,
        pace=pace(run.mirror),
    )
    return Copier(
        run.sides.source,
        run.sides.target,
        placer,
        images=image_rules_of(run.mirror),
        tags=tag_rules_of(run.mirror),
        referrers=run.mirror.referrers,
        companions=() if tag_rules_of(run.mirror).admits_all else run.discovery.companions,
        start=run.start,
    )


async def remember(run: SyncRun) -> None:
    """Remember what this run learnt of the target."""
    target = Reference.parse(run.mirror.target)
    learnt = run.sides.target.registry.capabilities.dump()
    await run.record.save_abilities(target.registry, target.repository, learnt)


async def warn_if_closed(run: SyncRun) -> None:
    """Warn when what arrived is out of reach of anonymous users. Costs one HEAD, if that.

    Where the mirror itself needs no credential to push, nobody needs one to pull.
    """
    arrived = [copy.change.target_tag for copy in run.copied if copy.failure is None]
    target = run.sides.target
    if not arrived or target.registry.credential_origin(target.name) is None:
        return
    if trouble := await anonymous_trouble(run.sides.stranger, arrived[-1]):
        run.warnings.append(trouble)


def _shared(registry: str) -> Shared | None:
    uploads = SHARED_UPLOADS.get()
    return uploads[registry] if uploads is not None else None


def budget_of(run: SyncRun) -> Budget:
    """The changes that the source's pull quota allows now, and the others."""
    tags = {tag.name: tag for tag in run.discovery.tags}
    return spend(run.plan.changes, tags, quota_of(run))


async def put_off(run: SyncRun, budget: Budget) -> None:
    """Record and tell the changes that the quota does not allow now."""
    quota = quota_of(run)
    if quota is None or budget.goes_on_at is None:
        return
    message = (
        f"the pull quota of {quota.registry} ({quota.remaining} of {quota.limit} left) does not"
        f" reach for it: it goes on by {budget.goes_on_at:%Y-%m-%d %H:%M} UTC;"
        " a credential for the source raises the quota"
    )
    for change in budget.put_off:
        run.failures.append(TagFailure(change.tag, Reason.QUOTA, message))
        await run.record.tag_skipped(
            run.run_id, run.mirror.name, change, TagStatus.WAITING, message
        )


def quota_of(run: SyncRun) -> Quota | None:
    registry = run.sides.source.registry
    reading = registry.quota
    if reading is None:
        return None
    return Quota(
        registry=Reference.parse(run.mirror.source).registry,
        account=reading.source,
        limit=reading.limit,
        remaining=reading.remaining,
        window_seconds=reading.window_seconds,
        read_at=reading.read_at,
    )
