"""What one sync works with."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property

from mirror.config import MirrorSettings
from mirror.outcome import RetryRule, Trigger
from mirror.registry import Reference
from mirror.sync.blob_placement import SharedUploads
from mirror.sync.clients import MirrorClients
from mirror.sync.image_rules import ImageRules, image_rules_of
from mirror.sync.prefetch import Prefetch
from mirror.sync.recorder import Recorder
from mirror.sync.step import Log, SyncProgress, no_log
from mirror.sync.tag_rules import TagRules, tag_rules_of


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
    shared_uploads: SharedUploads | None = None
    """Uploads to the target registry in progress, of all mirrors of this process."""
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
