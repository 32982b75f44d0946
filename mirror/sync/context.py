"""What one sync works with, and the copier made of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from mirror.config import MirrorSettings
from mirror.outcome import Discovery, KnownTag, RetryRule, Trigger
from mirror.registry import Reference
from mirror.sync.clients import MirrorClients
from mirror.sync.copying import BlobPlacer, Copier, SharedTransfers, bandwidth_limiter_of
from mirror.sync.recorder import Recorder
from mirror.sync.step import Log, SyncProgress, no_log
from mirror.sync.tags import ImageRules, Prefetch, TagRules, image_rules_of, tag_rules_of

_HELD_AT_ONCE: Final = 50_000
"""Digests of the target that are loaded at the start; of more, those of each manifest are asked
for (about 150 bytes each)."""


@dataclass(frozen=True)
class SyncContext:
    """The parts and options of one sync. Its steps read it and return results."""

    mirror: MirrorSettings
    clients: MirrorClients
    recorder: Recorder
    prefetch: Prefetch
    full: bool = True
    """Compare both sides instead of trusting the recorded state."""
    dry_run: bool = False
    accept_loss: bool = False
    """A person says that tags which the source lost were deleted there on purpose."""
    trigger: Trigger = Trigger.SCHEDULE
    retry: RetryRule = field(default_factory=RetryRule)
    progress: SyncProgress = field(default_factory=SyncProgress)
    shared: SharedTransfers | None = None
    """What the syncs of this process do for each other."""
    log: Log = no_log
    flow_run_id: str | None = None
    started_at: float = field(default_factory=time.perf_counter)
    """By time.perf_counter, when the sync's own work began."""

    @property
    def retries_now(self) -> bool:
        """True if failed tags are tried again before their time: a person asked."""
        return self.trigger is Trigger.MANUAL

    @cached_property
    def tags(self) -> TagRules:
        """The tag strategy."""
        return tag_rules_of(self.mirror)

    @cached_property
    def images(self) -> ImageRules:
        """Which parts of an image are mirrored."""
        return image_rules_of(self.mirror)

    @cached_property
    def source(self) -> tuple[str, str]:
        """The source's registry host and path."""
        reference = Reference.parse(self.mirror.source)
        return reference.registry, reference.repository

    @cached_property
    def target(self) -> tuple[str, str]:
        """The target's registry host and path."""
        reference = Reference.parse(self.mirror.target)
        return reference.registry, reference.repository


async def build_copier(
    context: SyncContext,
    discovery: Discovery,
    known: Mapping[str, KnownTag],
    *,
    look_first: bool,
) -> Copier:
    """The copier of a run, with what the history knows of the target.

    `look_first`: ask the target about every blob, since a run before this one was killed.
    """
    recorder, clients = context.recorder, context.clients
    registry, repository = context.target
    # One after the other: concurrently each opens a connection, which takes longer.
    holdings = await recorder.holdings(registry, repository, _HELD_AT_ONCE)
    asks = holdings is None or await recorder.holds_elsewhere(registry, repository)
    seen = discovery.target or {}
    placer = BlobPlacer(
        clients.source,
        clients.target,
        holdings=holdings or (),
        holders=(lambda digests: recorder.holders(registry, digests, repository)) if asks else None,
        shared=context.shared.uploads if context.shared else None,
        # An empty target has nothing worth asking for; any other may hold more than is recorded.
        look_first=look_first or bool(known) or any(seen.values()),
        # The history knows nearly all of a target that it follows; what is new is seldom there.
        look_for_small=look_first or not known,
        expect=context.progress.expect,
        progress=context.progress.advance,
        limiter=bandwidth_limiter_of(context.mirror.rate_limit)
        if context.mirror.rate_limit
        else None,
    )
    return Copier(
        clients.source,
        clients.target,
        placer,
        images=context.images,
        tags=context.tags,
        referrers=context.mirror.referrers,
        companions=() if context.tags.admits_all else discovery.companions,
        read=context.prefetch.manifest,
        check_lock=lambda: recorder.check_lock(context.mirror.target),
    )
